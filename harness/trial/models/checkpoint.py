"""Fine-tuned weights in a file, with everything needed to build the same detector from it again.

What is loaded is what was saved: each part of the file has a checksum (`harness.trial.models.state`), and weights that
lie where their trial's record says must be those of the record.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from annotated_types import Gt, Len, MinLen
from pydantic import ConfigDict, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError
from torch import Tensor, nn

from harness import foreign
from harness.errors import WeightsError
from harness.store import files
from harness.store.record import NewerRecordError, RecordError
from harness.store.results import read_record_of_weights
from harness.suite.catalog import registry
from harness.suite.schema import ImageSize
from harness.trial.models import state, trainable
from harness.trial.models.registry import family_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.trial import TrialArchitecture
    from harness.trial.models.base import Detector

_FORMAT = 2
_KEYS = {"harness_checkpoint", "architecture", "classes", "image_size", "model", "structure", "state_dict"}
_NUMBERS = ("count", "channels", "numbers", "levels")  # kinds of options
_SHOWN = 3  # problems of the keys' types
_STRUCTURE_OF_FORMAT_1 = ("frozen_norms", "frozen_parameters")  # versions 0.1 and 0.2 wrote these beside the others

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """The types of what `save` writes; a file from elsewhere may have others."""

    __pydantic_config__: ClassVar = ConfigDict(arbitrary_types_allowed=True)

    architecture: StrictStr
    classes: Annotated[list[StrictStr], MinLen(1)]
    image_size: Annotated[list[Annotated[StrictInt, Gt(0)]], Len(2, 2)]
    model: dict[StrictStr, StrictInt | StrictFloat | StrictStr | list[Any]]
    structure: dict[StrictStr, Any]
    state_dict: dict[StrictStr, Tensor]
    thawed_norms: dict[StrictStr, StrictFloat] = field(default_factory=dict)


_CONTENT = TypeAdapter(_Content)


def save(path: Path, detector: Detector, architecture: TrialArchitecture, class_names: tuple[str, ...]) -> None:
    """Write the weights durably; the file loads with `weights_only=True`.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    stream = io.BytesIO()
    torch.save(
        {
            "harness_checkpoint": _FORMAT,
            "architecture": architecture.name,
            "classes": list(class_names),
            "image_size": [architecture.image_size.min, architecture.image_size.max],
            "model": dict(architecture.model),
            "structure": dict(detector.structure()),
            "thawed_norms": trainable.thawed(detector.module),
            "state_dict": {name: tensor.cpu() for name, tensor in detector.module.state_dict().items()},
        },
        stream,
    )
    files.make_folder(path.parent)
    files.replace(path, stream.getbuffer())


def header(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its detector, as plain values: architecture, classes, image_size, model.

    Raises:
        WeightsError: the file is not such a checkpoint.
    """
    content = _read(path)
    found = {key: content[key] for key in ("architecture", "classes", "image_size", "model")}
    try:
        json.dumps(found)
    except (TypeError, ValueError, RecursionError):
        raise WeightsError(f"{path}: not a checkpoint of this harness (model: holds more than plain values)") from None
    return found


def load(path: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """The fine-tuned network in evaluation mode, and its class names; label 1 is the first.

    Raises:
        WeightsError: the file is not such a checkpoint.
    """
    detector, class_names = load_detector(path)
    return detector.module, class_names


def load_detector(path: Path, row: Architecture | None = None) -> tuple[Detector, tuple[str, ...]]:
    """The fine-tuned detector, its module in evaluation mode, and its class names; label 1 is the first.

    Args:
        row: the detector's architecture; left out, it must be one of the catalogue or installed. A file of weights
            never decides by itself which of the user's code is run.

    Raises:
        TrialError: the file is not such a checkpoint, is of another architecture, or is not what its record says.
    """
    content = _read(path)
    _compare_with_record(path, content["state_dict"])
    name = content["architecture"]
    row = row or _row(name, path)
    if row.name != name:
        raise WeightsError(f"{path}: is a {name}, expected a {row.name}")
    unknown = {name for name in content["model"] if row.find_option(name) is None}
    if unknown:
        raise WeightsError(f"{path}: sets {', '.join(sorted(unknown))}, which this version's {name} does not take")
    options = {key: row.find_option(key) for key, value in content["model"].items() if isinstance(value, str)}
    texts = [key for key, option in options.items() if option is not None and option.kind in _NUMBERS]
    if texts:
        raise WeightsError(f"{path}: sets {', '.join(texts)} to a text, and {name} takes a number")
    low, high = content["image_size"]
    try:
        detector = family_of(row).rebuild(
            row,
            structure=content["structure"],
            state=content["state_dict"],
            classes=len(content["classes"]),
            image_size=ImageSize(min=low, max=high),
            options=content["model"],
        )
        trainable.thaw(detector.module, content.get("thawed_norms", {}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = foreign.described(error)
        raise WeightsError(f"{path}: no {name} can be built of what it holds: {problem}") from error
    detector.module.eval()
    return detector, tuple(content["classes"])


def thaw_as_saved(path: Path, detector: Detector) -> None:
    """Thaw the norms of a detector that starts from a checkpoint of this harness, as they were when it was saved.

    Weights of other kinds, which its family has read, hold no such norms.
    """
    try:
        content = state.read(path)
    except WeightsError:
        return
    if "harness_checkpoint" in content:
        trainable.thaw(detector.module, content.get("thawed_norms", {}))


def state_sha256(model: nn.Module) -> str:
    """A hash over every tensor of the state dict, by name: equal weights, equal hash."""
    return _sha256(model.state_dict())


def _sha256(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _compare_with_record(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that lie where a trial's record names its own and are others.

    Raises:
        WeightsError: they are.
    """
    try:
        found = read_record_of_weights(path)
    except (RecordError, NewerRecordError) as error:
        log.warning("%s: cannot be compared with its record: %s", path, error)
        return
    if found is None:
        return
    folder, recorded = found
    if _sha256(state) != recorded.model.state_sha256:
        raise WeightsError(
            f"{path}: is not the file that {folder.record} was made with (model.state_sha256 differs): damaged or "
            "replaced; put the trial's own weights back, or move these elsewhere"
        )


def _row(name: str, path: Path) -> Architecture:
    """A row of the catalogue or of an installed package, by its name."""
    if name not in registry.names():
        raise WeightsError(
            f"{path}: is a {name}, which this version does not know; if it is an architecture of your own, give its "
            "import path as `architecture`"
        )
    try:
        return registry.find(name, Path.cwd())[0]
    except (ImportError, TypeError) as error:
        raise WeightsError(f"{path}: is a {name}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, as the newest format has it."""
    content = state.read(path)
    version = content.get("harness_checkpoint")
    if not isinstance(version, int | None):
        raise WeightsError(f"{path}: not a checkpoint of this harness (harness_checkpoint: {foreign.shown(version)})")
    if version == 1 and set(_STRUCTURE_OF_FORMAT_1) <= set(content):
        structure = {key: content.pop(key) for key in _STRUCTURE_OF_FORMAT_1}
        content |= {"harness_checkpoint": _FORMAT, "structure": structure}
    missing = _KEYS - set(content)
    if missing:
        raise WeightsError(f"{path}: not a checkpoint of this harness (lacks {', '.join(sorted(missing))})")
    version = content["harness_checkpoint"]
    if version != _FORMAT:
        raise WeightsError(
            f"{path}: a checkpoint of format {version}; this version reads 1 and {_FORMAT}: update the harness"
        )
    try:
        _CONTENT.validate_python(content)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'][:2]))}: {one['msg']}" for one in error.errors()[:_SHOWN])
        raise WeightsError(f"{path}: not a checkpoint of this harness ({problems})") from None
    return content
