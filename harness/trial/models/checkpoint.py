"""Fine-tuned weights in a file, with everything needed to build the same detector from it again."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.errors import WeightsError
from harness.store import files
from harness.suite.catalog import registry
from harness.suite.schema import ImageSize
from harness.trial.models import state
from harness.trial.models.registry import family_of

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Architecture
    from harness.suite.trial import TrialArchitecture
    from harness.trial.models.base import Detector

_FORMAT = 2
_KEYS = {"harness_checkpoint", "architecture", "classes", "image_size", "model", "structure", "state_dict"}
_STRUCTURE_OF_FORMAT_1 = ("frozen_norms", "frozen_parameters")  # versions 0.1 and 0.2 wrote these beside the others


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
    return {key: content[key] for key in ("architecture", "classes", "image_size", "model")}


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
        TrialError: the file is not such a checkpoint, or is of another architecture.
    """
    content = _read(path)
    name = content["architecture"]
    row = row or _row(name, path)
    if row.name != name:
        raise WeightsError(f"{path}: is a {name}, expected a {row.name}")
    low, high = content["image_size"]
    detector = family_of(row).rebuild(
        row,
        structure=content["structure"],
        state=content["state_dict"],
        classes=len(content["classes"]),
        image_size=ImageSize(min=low, max=high),
        options=content["model"],
    )
    detector.module.eval()
    return detector, tuple(content["classes"])


def state_sha256(model: nn.Module) -> str:
    """A hash over every tensor of the state dict, by name: equal weights, equal hash."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
    if content.get("harness_checkpoint") == 1 and set(_STRUCTURE_OF_FORMAT_1) <= set(content):
        structure = {key: content.pop(key) for key in _STRUCTURE_OF_FORMAT_1}
        content |= {"harness_checkpoint": _FORMAT, "structure": structure}
    missing = _KEYS - set(content)
    if missing:
        raise WeightsError(f"{path}: not a checkpoint of this harness (lacks {', '.join(sorted(missing))})")
    if content["harness_checkpoint"] != _FORMAT:
        raise WeightsError(
            f"{path}: a checkpoint of format {content['harness_checkpoint']}; this version reads 1 and {_FORMAT}: "
            "update the harness"
        )
    return content
