"""The family of transformers' detectors: the functions of `harness.trial.models.base.Family`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TrialError, WeightsError
from harness.suite.catalog.transformers import TransformersArchitecture
from harness.trial.models.transformers import build as building
from harness.trial.models.transformers import weights as published
from harness.trial.models.transformers.detector import TransformersDetector
from harness.trial.models.transformers.pixels import Preparation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[TransformersDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    row = _own(row)
    changes = {"num_queries": options["queries"]} if "queries" in options else {}
    live = weights == "none"
    head: Head = "new"
    if live:
        module = building.untrained(row, classes, changes, live_norms=True)
    elif weights in row.published_files:
        folder = published.require(row, weights)
        module, head = building.from_folder(row, folder, classes, changes, keep_head=False)
        building.freeze(module, row.frozen_prefixes)
    elif Path(weights).is_dir():
        module, head = building.from_folder(row, Path(weights), classes, changes, keep_head=True)
    else:
        module, head = building.from_checkpoint(row, Path(weights), classes)
    detector = TransformersDetector(module, _preparation(row, image_size, row.pixel_mean, row.pixel_std), live_norms=live)
    _check_places(row, detector)
    return detector, head


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],  # noqa: ARG001 - the structure holds what they made
) -> TransformersDetector:
    """See `harness.trial.models.base.Family.rebuild`."""
    row = _own(row)
    module = building.rebuild(structure, state, classes, f"the state dict of {row.name}")
    mean, std = (_channels(structure[key]) for key in ("pixel_mean", "pixel_std"))
    return TransformersDetector(module, _preparation(row, image_size, mean, std), live_norms=bool(structure["live_norms"]))


def fetch(row: Architecture, word: str) -> Path:
    """See `harness.trial.models.base.FetchingFamily.fetch`."""
    return published.fetch(_own(row), word)
