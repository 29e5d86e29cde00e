"""Build a detector for the user's classes from each kind of weights, and rebuild a fine-tuned one.

torchvision's builders make another network when they are given no weights: live BatchNorm, all layers trainable,
another eps. A state dict loads into either without complaint and gives other features. So a fine-tuned model is stored
with its `Structure`, and rebuilt by it.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torchvision.models import get_model_builder
from torchvision.ops import FrozenBatchNorm2d

from harness.errors import WeightsError
from harness.suite.catalog.torchvision import BY_NAME, Architecture
from harness.suite.validators import WEIGHTS_WORDS
from harness.trial.models.torchvision import weights as pretrained

if TYPE_CHECKING:
    from types import ModuleType

    from harness.suite.schema import ImageSize

Head = Literal["new", "replaced", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a state dict does not tell: the eps of each frozen norm by module name, and the frozen parameters' names."""

    frozen_norms: Mapping[str, float]
    frozen_parameters: tuple[str, ...]


def build(
    name: str, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, int]
) -> tuple[nn.Module, Head]:
    """A detector that starts from `weights`, with a class head for `classes` classes plus background.

    Args:
        weights: default, backbone, none, or the path of a state dict.
        options: builder arguments of the catalogue's row.

    Returns:
        The model in training mode, and what became of its class head.

    Raises:
        WeightsError: the weights cannot be had, or do not fit. There is no fall-back.
    """
    row = BY_NAME[name]
    arguments = {**options, "min_size": image_size.min, "max_size": image_size.max}
    model, head = _start_from(row, weights, classes + 1, arguments)
    family(row).prepare(model)
    return model, head


def rebuild(
    name: str,
    *,
    structure: Structure,
    state: Mapping[str, Tensor],
    num_classes: int,
    image_size: ImageSize,
    options: Mapping[str, int],
) -> nn.Module:
    """A fine-tuned detector again, the way it was trained, from its state dict alone. `num_classes` counts background.

    Raises:
        WeightsError: the state dict does not fit.
    """
    row = BY_NAME[name]
    arguments = {**options, "min_size": image_size.min, "max_size": image_size.max}
    arguments.pop("trainable_backbone_layers", None)  # the structure says which parameters are frozen
    model: nn.Module = _builder(row)(weights=None, weights_backbone=None, num_classes=num_classes, **arguments)
    apply_structure(model, structure)
    _load(model, state, f"the state dict of {name}")
    family(row).prepare(model)
    return model


def structure_of(model: nn.Module) -> Structure:
    """Read a model's frozen parts."""
    return Structure(
        frozen_norms={name: m.eps for name, m in model.named_modules() if isinstance(m, FrozenBatchNorm2d)},
        frozen_parameters=tuple(name for name, p in model.named_parameters() if not p.requires_grad),
    )


def apply_structure(model: nn.Module, structure: Structure) -> None:
    """Freeze a model built without weights: its norms in place of live ones, and its parameters."""
    for name, eps in structure.frozen_norms.items():
        parent, _, child = name.rpartition(".")
        norm = getattr(model.get_submodule(parent), child)
        setattr(model.get_submodule(parent), child, FrozenBatchNorm2d(norm.num_features, eps=eps))
    frozen = set(structure.frozen_parameters)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def set_postprocessing(model: nn.Module, name: str, *, score_threshold: float, detections: int) -> None:
    """Set the score threshold and the number of detections an image; torchvision's defaults differ 200-fold."""
    family(BY_NAME[name]).set_postprocessing(model, score_threshold=score_threshold, detections=detections)


def postprocessor(model: nn.Module, name: str) -> nn.Module:
    """The module whose `postprocess_detections` begins when the raw predictions are there."""
    module: nn.Module = family(BY_NAME[name]).postprocessor(model)
    return module


def family(row: Architecture) -> ModuleType:
    """The module that knows the row's class head."""
    return importlib.import_module(f"harness.trial.models.torchvision.{row.family}")


def read_state(path: Path) -> dict[str, Any]:
    """What `torch.save` wrote to a file, tensors and plain values only.

    Raises:
        WeightsError: it is unreadable, or holds code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: does not load as tensors alone (weights_only=True; {type(error).__name__}): it is torn, no torch "
            "file, or holds a pickled model; save model.state_dict() with torch.save"
        ) from None
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, expected a state dict (name → tensor)")
    return dict(content)


def _builder(row: Architecture) -> Any:
    return get_model_builder(row.name)


def _start_from(row: Architecture, weights: str, num_classes: int, arguments: dict[str, int]) -> tuple[nn.Module, Head]:
    if weights == "none":
        return _builder(row)(weights=None, weights_backbone=None, num_classes=num_classes, **arguments), "new"
    if weights not in WEIGHTS_WORDS:
        return _from_file(row, Path(weights), num_classes, arguments)
    file = pretrained.require(row, backbone_only=weights == "backbone")
    try:
        if weights == "backbone":
            model = _builder(row)(
                weights=None,
                weights_backbone=pretrained.member(row.backbone_weights),
                num_classes=num_classes,
                **arguments,
            )
            return model, "new"
        model = _builder(row)(weights=pretrained.member(row.weights), **arguments)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise WeightsError(f"{file}: cannot be loaded: {error}; delete it and run `harness fetch` again") from None
    family(row).replace_head(model, num_classes)
    return model, "replaced"


def _from_file(row: Architecture, path: Path, num_classes: int, arguments: dict[str, int]) -> tuple[nn.Module, Head]:
    """Start from a state dict of a whole detector; its head is kept where it has as many classes as the user.

    A state dict without BatchNorm counters was trained with frozen norms: it is built as torchvision builds its own
    pretrained model, with the published weights' eps. One of ours says itself how it was built.
    """
    content = read_state(path)
    state = next((content[key] for key in ("state_dict", "model") if isinstance(content.get(key), Mapping)), content)
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()):
        raise WeightsError(f"{path}: expected a state dict (name → tensor), alone or under 'state_dict' or 'model'")
    if family(row).CLASS_WEIGHT not in state:
        raise WeightsError(f"{path}: is not a state dict of {row.name}: it has no {family(row).CLASS_WEIGHT}")
    live: nn.Module = _builder(row)(weights=None, weights_backbone=None, num_classes=num_classes, **arguments)
    found = family(row).count_classes(state, live)
    family(row).replace_head(live, found)
    if {"frozen_norms", "frozen_parameters"} <= set(content):
        apply_structure(
            live, Structure(frozen_norms=content["frozen_norms"], frozen_parameters=tuple(content["frozen_parameters"]))
        )
    elif not any(name.endswith("num_batches_tracked") for name in state):
        apply_structure(live, _pretrained_structure(live, row))
    _load(live, state, str(path))
    if found == num_classes:
        return live, "kept"
    family(row).replace_head(live, num_classes)
    return live, "replaced"


def _pretrained_structure(live: nn.Module, row: Architecture) -> Structure:
    norms = {name: row.frozen_norm_eps for name, module in live.named_modules() if isinstance(module, nn.BatchNorm2d)}
    parameters = tuple(
        name
        for name, _ in live.named_parameters()
        if name.startswith(row.frozen_prefixes) and name.rpartition(".")[0] not in norms
    )
    return Structure(frozen_norms=norms, frozen_parameters=parameters)


def _load(model: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{what} does not fit {type(model).__name__}: {str(error).splitlines()[-1].strip()}"
        ) from None
