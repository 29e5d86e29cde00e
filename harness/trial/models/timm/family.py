"""The family of torchvision's heads on timm's backbones: the functions of `harness.trial.models.base.Family`.

Every number of classes here is the user's; what lies behind counts the background too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.suite.catalog.timm import LITE0, TimmArchitecture
from harness.trial.models.timm import build as building
from harness.trial.models.timm import weights as weights_of
from harness.trial.models.timm.detector import TimmDetector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harness.suite.catalog.architecture import Architecture, HubFile, PackageFile
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[TimmDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    row = _own(row)
    model, head = building.start_from(row, weights, classes + 1, _arguments(image_size, options))
    return TimmDetector(model, row), head


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],
) -> TimmDetector:
    """See `harness.trial.models.base.Family.rebuild`."""
    row = _own(row)
    found = building.Structure.of_plain(structure)
    return TimmDetector(building.rebuild(row, found, state, classes + 1, _arguments(image_size, options)), row)


def published_file(row: Architecture, word: str, backbone: str | None) -> HubFile | PackageFile:  # noqa: ARG001 - one word
    """See `harness.trial.models.base.NamingFamily.published_file`."""
    return weights_of.published_file(backbone or LITE0)


def _arguments(image_size: ImageSize, options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "min_size": image_size.min, "max_size": image_size.max}


def _own(row: Architecture) -> TimmArchitecture:
    """The row as one of timm's, which name this family."""
    if not isinstance(row, TimmArchitecture):
        raise TypeError(f"{row.name}: a row of this family is a TimmArchitecture, not a {type(row).__name__}")
    return row
