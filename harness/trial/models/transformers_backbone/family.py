"""The family of transformers' detectors on other backbones of transformers: the functions of `base.Family`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.suite.catalog.transformers_backbones import RESNET_18
from harness.trial.models.transformers import family
from harness.trial.models.transformers_backbone import build as building
from harness.trial.models.transformers_backbone import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head
    from harness.trial.models.transformers.detector import TransformersDetector


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[TransformersDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    if weights not in ("none", "backbone"):
        return family.build(row, weights=weights, classes=classes, image_size=image_size, options=options)
    own, name = family.own_row(row), str(options.get("backbone", RESNET_18))
    pretrained = weights == "backbone"
    folder = files.folder_of(name, pretrained=pretrained)
    module = building.start_from(own, name, folder, classes, family.changes(options), pretrained=pretrained)
    mean, std = files.normalisation(folder) or (own.pixel_mean, own.pixel_std)
    return family.detector_of(own, module, image_size, mean, std), "new"


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


def fetch_backbone(row: Architecture, word: str, backbone: str | None) -> Path:
    """See `harness.trial.models.base.BackboneFetchingFamily.fetch_backbone`."""
    return files.fetch(row, word, backbone)
