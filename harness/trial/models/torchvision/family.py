"""The family of torchvision's detectors: the functions of `harness.trial.models.base.Family`.

Every number of classes here is the user's; what lies behind counts the background too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.suite.catalog.torchvision import TorchvisionArchitecture
from harness.trial.models.torchvision import build as building
from harness.trial.models.torchvision import weights as published
from harness.trial.models.torchvision.detector import TorchvisionDetector

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[TorchvisionDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    row = _own(row)
    model, head = building.start_from(row, weights, classes + 1, _arguments(row, image_size, options))
    return TorchvisionDetector(model, row), head


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],
) -> TorchvisionDetector:
    """See `harness.trial.models.base.Family.rebuild`."""
    row = _own(row)
    arguments = _arguments(row, image_size, options)
    found = building.Structure.of_plain(structure)
    return TorchvisionDetector(building.rebuild(row, found, state, classes + 1, arguments), row)


def fetch(row: Architecture, word: str) -> Path:
    """See `harness.trial.models.base.FetchingFamily.fetch`."""
    return published.require(_own(row), word)


def _arguments(row: TorchvisionArchitecture, image_size: ImageSize, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the builder takes beside weights and classes; a network for one image size takes none of it."""
    if row.fixed_size:
        return dict(options)
    return {**options, "min_size": image_size.min, "max_size": image_size.max}


def _own(row: Architecture) -> TorchvisionArchitecture:
    """The row as one of torchvision's, which name this family."""
    if not isinstance(row, TorchvisionArchitecture):
        raise TypeError(f"{row.name}: a row of this family is a TorchvisionArchitecture, not a {type(row).__name__}")
    return row
