"""Fine-tuned weights in a file, with everything needed to build the same detector from it again."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.errors import WeightsError
from harness.store import files
from harness.suite.catalog.torchvision import BY_NAME
from harness.suite.schema import ImageSize
from harness.trial.models.torchvision import build

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.trial import TrialArchitecture

_FORMAT = 1
_KEYS = {
    "harness_checkpoint",
    "architecture",
    "classes",
    "image_size",
    "model",
    "frozen_norms",
    "frozen_parameters",
    "state_dict",
}


def save(path: Path, model: nn.Module, architecture: TrialArchitecture, class_names: tuple[str, ...]) -> None:
    """Write the weights durably; the file loads with `weights_only=True`.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    structure = build.structure_of(model)
    stream = io.BytesIO()
    torch.save(
        {
            "harness_checkpoint": _FORMAT,
            "architecture": architecture.name,
            "classes": list(class_names),
            "image_size": [architecture.image_size.min, architecture.image_size.max],
            "model": dict(architecture.model),
            "frozen_norms": dict(structure.frozen_norms),
            "frozen_parameters": list(structure.frozen_parameters),
            "state_dict": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
        },
        stream,
    )
    files.make_folder(path.parent)
    files.replace(path, stream.getbuffer())


def header(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its detector: architecture, classes, image_size, model; plain values.

    Raises:
        WeightsError: the file is not such a checkpoint.
    """
    content = _read(path)
    if content["architecture"] not in BY_NAME:
        raise WeightsError(f"{path}: is a {content['architecture']}, which this version does not know")
    return {key: content[key] for key in ("architecture", "classes", "image_size", "model")}


def load(path: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """The fine-tuned detector in evaluation mode, and its class names; label 1 is the first.

    Raises:
        WeightsError: the file is not such a checkpoint.
    """
    content = _read(path)
    low, high = content["image_size"]
    model = build.rebuild(
        content["architecture"],
        structure=build.Structure(
            frozen_norms=content["frozen_norms"], frozen_parameters=tuple(content["frozen_parameters"])
        ),
        state=content["state_dict"],
        num_classes=len(content["classes"]) + 1,
        image_size=ImageSize(min=low, max=high),
        options=content["model"],
    )
    return model.eval(), tuple(content["classes"])


def _read(path: Path) -> dict[str, Any]:
    content = build.read_state(path)
    missing = _KEYS - set(content)
    if missing or content["harness_checkpoint"] != _FORMAT:
        raise WeightsError(
            f"{path}: not a checkpoint of this harness (lacks {', '.join(sorted(missing)) or 'format 1'})"
        )
    return content


def state_sha256(model: nn.Module) -> str:
    """A hash over every tensor of the state dict, by name: equal weights, equal hash."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
