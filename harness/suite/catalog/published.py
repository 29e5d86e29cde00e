"""The files of published weights that a suite starts from, and where they are kept on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.trial import TrialArchitecture


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file that an architecture starts from.

    Attributes:
        architecture: the name of a built-in one, or the import path of the user's own.
        word: what the suite gives as its `weights`: default or backbone.
        name: of the file.
    """

    architecture: str
    word: str
    name: str

    @property
    def path(self) -> Path:
        """Where it is, or will be once it is fetched."""
        return cache_folder() / self.name


def published_files(architectures: Iterable[tuple[Architecture, TrialArchitecture]]) -> tuple[PublishedFile, ...]:
    """Each published file that is started from, once.

    Args:
        architectures: each row, with what a trial makes of it.
    """
    files = (
        PublishedFile(
            architecture=choice.own.path if choice.own else choice.name,
            word=choice.weights,
            name=row.published_files[choice.weights],
        )
        for row, choice in architectures
        if choice.weights in row.published_files
    )
    return tuple(dict.fromkeys(files))


def cache_folder() -> Path:
    """The folder of published weights: the one that `torch.hub.get_dir` gives, without importing torch."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"
