"""The published weights of the DETR family in Hugging Face's cache, and how to get them. Never a silent fall-back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub

from harness import foreign
from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.published import described, location

if TYPE_CHECKING:
    from harness.suite.catalog.transformers_row import TransformersArchitecture

_TIMEOUT_S = 30.0


def require(row: TransformersArchitecture, word: str) -> Path:
    """The folder with the weights and their `config.json`: from the cache, or downloaded if they are not there yet.

    Raises:
        WeightsError: they are not there and cannot be downloaded; names the file, the folder and the alternatives.
    """
    file = hub_file(row, word)
    path = location(file)
    if path.is_file() and (path.parent / "config.json").is_file():
        return path.parent
    try:
        print(f"fetching {described(file)}", flush=True)  # noqa: T201 - as it does for torchvision's weights
        folder = huggingface_hub.snapshot_download(
            file.repo,
            revision=file.revision,
            cache_dir=path.parents[3],
            allow_patterns=["config.json", file.file],
            etag_timeout=_TIMEOUT_S,
        )
    except Exception as error:
        reason = foreign.shortened(foreign.message(error).strip().split("\n")[0], 300)
        raise WeightsError(
            f"weights {described(file)} of {row.name} cannot be had: they are not in {path.parents[2]}, and the "
            f"download failed ({reason}). Run `harness fetch SUITE` where there is internet, or set for this "
            "architecture `weights: none` (random), or `weights: PATH` (a folder with config.json and "
            "model.safetensors, or weights that this program fine-tuned)"
        ) from error
    return Path(folder)


def hub_file(row: TransformersArchitecture, word: str) -> HubFile:
    """The published file that a word of a suite stands for."""
    file = row.published_files[word]
    if not isinstance(file, HubFile):
        raise TypeError(f"{row.name}: weights {word} are no file of the hub")
    return file
