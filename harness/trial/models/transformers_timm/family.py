"""The family of transformers' detectors on backbones of timm: the functions of `harness.trial.models.base.Family`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.suite.catalog.timm import LITE0
from harness.trial.models.timm import weights as timm_weights
from harness.trial.models.transformers import family
from harness.trial.models.transformers_timm import build as building

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harness.suite.catalog.architecture import Architecture, HubFile, PackageFile
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head
    from harness.trial.models.transformers.detector import TransformersDetector


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[TransformersDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    if weights not in ("none", "backbone"):
        return family.build(row, weights=weights, classes=classes, image_size=image_size, options=options)
    own = family.own_row(row)
    made = building.start_from(
        own, str(options.get("backbone", LITE0)), classes, family.changes(options), pretrained=weights == "backbone"
    )
    return family.detector_of(own, made.module, image_size, made.pixel_mean, made.pixel_std), "new"


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],
) -> TransformersDetector:
    """See `harness.trial.models.base.Family.rebuild`."""
    return family.rebuild(
        row, structure=structure, state=state, classes=classes, image_size=image_size, options=options
    )


def published_file(row: Architecture, word: str, backbone: str | None) -> HubFile | PackageFile:  # noqa: ARG001 - one word
    """See `harness.trial.models.base.NamingFamily.published_file`."""
    return timm_weights.published_file(backbone or LITE0)
