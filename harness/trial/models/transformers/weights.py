"""The published weights of the DETR family in the cache of Hugging Face's hub: configuration and tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.suite.catalog.architecture import HubFile
from harness.trial.models import hub

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.catalog.transformers_row import TransformersArchitecture


def require(row: TransformersArchitecture, word: str) -> Path:
    """The folder of the cache with both files; nothing is downloaded.

    Raises:
        WeightsError: one of them is not there; names it, the folder and the alternatives.
    """
    return [hub.require(file, row.name) for file in _files(row, word)][-1].parent


def fetch(row: TransformersArchitecture, word: str) -> Path:
    """The file of the tensors, both downloaded unless they are there already.

    Raises:
        WeightsError: one of them cannot be had.
    """
    return [hub.fetch(file, row.name) for file in _files(row, word)][-1]


def _files(row: TransformersArchitecture, word: str) -> tuple[HubFile, HubFile]:
    """The configuration, and the tensors."""
    file = row.published_files[word]
    if not isinstance(file, HubFile):
        raise TypeError(f"{row.name}: weights {word} are no file of the hub")
    return replace(file, file="config.json"), file
