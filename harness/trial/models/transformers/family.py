"""The family of transformers' detectors: the functions of `harness.trial.models.base.Family`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TrialError
from harness.suite.catalog.transformers_row import TransformersArchitecture
from harness.trial.models.transformers import build as building
from harness.trial.models.transformers import network
from harness.trial.models.transformers import weights as published
from harness.trial.models.transformers.detector import TransformersDetector
from harness.trial.models.transformers.pixels import Preparation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[TransformersDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    row = own_row(row)
    different = changes(options)
    head: Head = "new"
    mean, std = row.pixel_mean, row.pixel_std
    if weights == "none":
        module = building.untrained(row, classes, different, live_norms=True)
    elif weights in row.published_files:
        folder = published.require(row, weights)
        module, head = building.from_folder(row, folder, classes, different, keep_head=False)
        building.freeze(module, row.frozen_prefixes)
    elif Path(weights).is_dir():
        module, head = building.from_folder(
            row, Path(weights), classes, different, keep_head=True, backbone=options.get("backbone")
        )
    else:
        module, head, structure = building.from_checkpoint(
            row, Path(weights), classes, different, backbone=options.get("backbone")
        )
        mean, std = (_channels(structure[key]) for key in ("pixel_mean", "pixel_std"))  # a backbone may have its own
    return detector_of(row, module, image_size, mean, std), head


def detector_of(
    row: TransformersArchitecture, module: nn.Module, image_size: ImageSize, mean: Sequence[float], std: Sequence[float]
) -> TransformersDetector:
    """The detector of a network.

    Raises:
        TrialError: there are fewer places in the feature maps of this image size than queries.
    """
    detector = TransformersDetector(module, _preparation(row, image_size, _channels(mean), _channels(std)))
    _check_places(row, detector, image_size)
    return detector


def changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of a suite change in the configuration of a network."""
    return {"num_queries": options["queries"]} if "queries" in options else {}


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
    row = own_row(row)
    module = building.rebuild(structure, state, classes, f"the state dict of {row.name}")
    mean, std = (_channels(structure[key]) for key in ("pixel_mean", "pixel_std"))
    return TransformersDetector(module, _preparation(row, image_size, mean, std))


def fetch(row: Architecture, word: str) -> Path:
    """See `harness.trial.models.base.FetchingFamily.fetch`."""
    return published.fetch(own_row(row), word)


def _preparation(
    row: TransformersArchitecture,
    image_size: ImageSize,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Preparation:
    return Preparation(
        image_size=image_size,
        square=row.resize == "square",
        multiple=row.size_multiple if row.resize == "square" else row.pad_multiple,
        mean=mean,
        std=std,
    )


def _check_places(row: TransformersArchitecture, detector: TransformersDetector, image_size: ImageSize) -> None:
    """Refuse an image size at which there are fewer places in the feature maps than queries to choose among them.

    Raises:
        TrialError: there are; says how many queries would go.
    """
    places, queries = network.places(detector.config, image_size.min), detector.config.to_dict().get("num_queries", 0)
    if places is not None and places < queries:
        raise TrialError(
            f"{row.name}: at image_size {image_size.min} its feature maps have {places} places for {queries} queries: "
            f"take a larger image_size, or set for this architecture `model: {{queries: {places}}}`"
        )


def _channels(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def own_row(row: Architecture) -> TransformersArchitecture:
    """The row as one of transformers', which name this family."""
    if not isinstance(row, TransformersArchitecture):
        raise TypeError(f"{row.name}: a row of this family is a TransformersArchitecture, not a {type(row).__name__}")
    return row
