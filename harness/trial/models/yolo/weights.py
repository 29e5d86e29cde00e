"""Files of YOLO weights: libreyolo's own checkpoints, Megvii's of YOLOX, and checkpoints of this program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile
from harness.trial.models import hub
from harness.trial.models import state as states

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from harness.suite.catalog.yolo import YoloArchitecture
    from harness.trial.models.yolo.letterbox import Placement

_ONLY_IN_TRAINING = ("aux.", "aux_head.")  # YOLOv9's auxiliary branch, which libreyolo drops in the same way
_DERIVED = "head.dfl.conv.weight"  # a constant, which files of older versions hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a file of weights holds.

    Attributes:
        state: the state dict of the network, its auxiliary branch left out.
        placement: where the weights had images in their square; None where the file says nothing.
    """

    state: dict[str, Tensor]
    placement: Placement | None


def require(row: YoloArchitecture, word: str) -> Path:
    """The published file that a word stands for, which must be in the cache.

    Raises:
        WeightsError: it is not there.
    """
    return hub.require(_hub_file(row, word), row.name)


def fetch(row: YoloArchitecture, word: str) -> Path:
    """The published file that a word stands for, downloaded unless it is there.

    Raises:
        WeightsError: it cannot be had.
    """
    return hub.fetch(_hub_file(row, word), row.name)


def _hub_file(row: YoloArchitecture, word: str) -> HubFile:
    file = row.published_files[word]
    if not isinstance(file, HubFile):
        raise TypeError(f"{row.name}: weights of this family are files of Hugging Face's hub, not {file}")
    return file


def read(path: Path, row: YoloArchitecture) -> Stored:
    """The state dict in a file, which must be of the row's network.

    Raises:
        WeightsError: it is none, or is of another network.
    """
    content = states.read(path)
    nested = states.state_dict_of(content, path)
    for key, wanted in (("model_family", row.network), ("size", row.size), ("task", "detect")):
        if isinstance(content.get(key), str) and content[key] != wanted:
            raise WeightsError(f"{path}: its {key} is {content[key]}; {row.name} takes weights of {key} {wanted}")
    state = {
        name: value for name, value in nested.items() if not name.startswith(_ONLY_IN_TRAINING) and name != _DERIVED
    }
    return Stored(state=state, placement=_placement(content))


def _placement(content: Mapping[str, Any]) -> Placement | None:
    """Where a file says that images lay; a checkpoint of libreyolo that says nothing means the corner."""
    structure = content.get("structure")
    if isinstance(structure, Mapping):
        return "topleft" if structure.get("letterbox") == "topleft" else "center"
    if "model_family" not in content:
        return None
    return "center" if content.get("letterbox_pad") == "center" else "topleft"
