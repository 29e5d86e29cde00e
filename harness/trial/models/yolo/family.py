"""The family of libreyolo's YOLOs: the functions of `harness.trial.models.base.Family`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import WeightsError
from harness.suite.catalog.yolo import YoloArchitecture
from harness.trial.models import state as states
from harness.trial.models.yolo import weights as files
from harness.trial.models.yolo.detector import SMALLEST, YoloDetector
from harness.trial.models.yolo.yolo9 import HIDDEN_WEIGHT, WIDTH, Yolo9
from harness.trial.models.yolo.yolox import Yolox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head
    from harness.trial.models.yolo.letterbox import Placement
    from harness.trial.models.yolo.network import Network


def build(
    row: Architecture,
    *,
    weights: str,
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],  # noqa: ARG001 - its rows have none
) -> tuple[YoloDetector, Head]:
    """See `harness.trial.models.base.Family.build`."""
    row = _own(row)
    if weights == "none":
        network = _network(row, WIDTH)
        network.replace_head(classes)
        return _detector(network, image_size, network.placement), "new"
    published = weights in row.published_files
    path = files.require(row, weights) if published else Path(weights)
    stored = files.read(path, row)
    network, found = _of_state(row, stored.state, str(path))
    kept = found == classes and not published
    if not kept:
        network.replace_head(classes)
    return _detector(network, image_size, stored.placement or network.placement), "kept" if kept else "replaced"


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],  # noqa: ARG001 - its rows have none
) -> YoloDetector:
    """See `harness.trial.models.base.Family.rebuild`."""
    network, found = _of_state(_own(row), state, f"the state dict of {row.name}")
    if found != classes:
        raise WeightsError(f"the state dict of {row.name} has {found} classes, not {classes}")
    return _detector(network, image_size, structure["letterbox"])


def fetch(row: Architecture, word: str) -> Path:
    """See `harness.trial.models.base.FetchingFamily.fetch`."""
    return files.fetch(_own(row), word)


def _of_state(row: YoloArchitecture, state: Mapping[str, Tensor], what: str) -> tuple[Network, int]:
    """The network of a state dict, and its number of classes.

    Raises:
        WeightsError: it is not of this row.
    """
    width = len(state.get(HIDDEN_WEIGHT, range(WIDTH)))
    network = _network(row, width)
    if network.class_weight not in state:
        raise WeightsError(f"{what}: is no state dict of {row.name} as libreyolo names it: no {network.class_weight}")
    found = len(state[network.class_weight])
    network.replace_head(found)
    states.load_into(network.module, state, what)
    return network, found


def _network(row: YoloArchitecture, width: int) -> Network:
    return Yolox(row.size) if row.network == Yolox.name else Yolo9(row.size, width)


def _detector(network: Network, image_size: ImageSize, placement: Placement) -> YoloDetector:
    if image_size.max < SMALLEST:
        raise WeightsError(f"image_size {image_size.max} is too small for a YOLO: it takes {SMALLEST} at least")
    network.module.train()
    return YoloDetector(network, size=image_size.max, placement=placement)


def _own(row: Architecture) -> YoloArchitecture:
    """The row as one of this family's."""
    if not isinstance(row, YoloArchitecture):
        raise TypeError(f"{row.name}: a row of this family is a YoloArchitecture, not a {type(row).__name__}")
    return row
