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
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torchvision.models import get_model_builder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FrozenBatchNorm2d

from harness.errors import WeightsError
from harness.trial.models import state as states
from harness.trial.models.torchvision import weights as published

if TYPE_CHECKING:
    from types import ModuleType

    from harness.suite.catalog.heads import HeadArchitecture
    from harness.suite.catalog.torchvision import TorchvisionArchitecture
    from harness.trial.models.base import Head

_ANCHORS = ("anchor_sizes", "aspect_ratios")
_NORMALISATION = ("image_mean", "image_std")


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a state dict does not tell: the eps of each frozen norm by module name, and the frozen parameters' names."""

    frozen_norms: Mapping[str, float]
    frozen_parameters: tuple[str, ...]

    @classmethod
    def of_plain(cls, content: Mapping[str, Any]) -> Structure:
        """From the plain values that a checkpoint holds."""
        return cls(frozen_norms=dict(content["frozen_norms"]), frozen_parameters=tuple(content["frozen_parameters"]))

    def plain(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {"frozen_norms": dict(self.frozen_norms), "frozen_parameters": list(self.frozen_parameters)}


def start_from(
    row: TorchvisionArchitecture, weights: str, num_classes: int, options: Mapping[str, Any]
) -> tuple[nn.Module, Head]:
    """A network that starts from `weights`, in training mode, and what became of its class head.

    Args:
        weights: default, backbone, none, or the path of a state dict.
        num_classes: with the background.
        options: arguments of torchvision's builder, and the anchors.

    Raises:
        WeightsError: the weights cannot be had, or do not fit. There is no fall-back.
    """
    if weights == "none":
        return _built(row, options, weights=None, weights_backbone=None, num_classes=num_classes), "new"
    if weights not in row.published_files:
        return _from_file(row, Path(weights), num_classes, options)
    file = published.require(row, weights)
    found = published.member_of(row, weights)
    try:
        if weights == "backbone":
            model = _built(row, options, weights=None, weights_backbone=found, num_classes=num_classes)
        else:
            model = _built(row, options, weights=found)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise WeightsError(f"{file}: cannot be loaded: {error}; delete it and run `harness fetch` again") from None
    freeze_idle_norms(model)
    if weights == "backbone":
        return model, "new"
    head_of(row).replace_head(model, num_classes)
    return model, "replaced"


def rebuild(
    row: TorchvisionArchitecture,
    structure: Structure,
    state: Mapping[str, Tensor],
    num_classes: int,
    options: Mapping[str, Any],
) -> nn.Module:
    """A fine-tuned network again, the way it was trained, from its state dict alone; `num_classes` with background.

    Raises:
        WeightsError: the state dict does not fit.
    """
    # The structure says which parameters are frozen.
    options = {key: value for key, value in options.items() if key != "trainable_backbone_layers"}
    model = _built(row, options, weights=None, weights_backbone=None, num_classes=num_classes)
    apply_structure(model, structure)
    states.load_into(model, state, f"the state dict of {row.name}")
    return model


def head_of(row: HeadArchitecture) -> ModuleType:
    """The module that knows the row's class head."""
    return importlib.import_module(f"{__package__}.{row.head}")


def structure_of(model: nn.Module) -> Structure:
    """The frozen parts of a model."""
    return Structure(
        frozen_norms={name: m.eps for name, m in model.named_modules() if isinstance(m, FrozenBatchNorm2d)},
        frozen_parameters=tuple(name for name, p in model.named_parameters() if not p.requires_grad),
    )


def apply_structure(model: nn.Module, structure: Structure) -> None:
    """Freeze a model built without weights: its norms in place of live ones, and its parameters."""
    _freeze_norms(model, structure.frozen_norms)
    frozen = set(structure.frozen_parameters)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def freeze_idle_norms(model: nn.Module) -> None:
    """Freeze the BatchNorms of frozen layers, which torchvision's newer builders leave live.

    Their weights are frozen by those builders, their running statistics are not: they would go on following the
    batches of a training, under layers that learn nothing of it.
    """
    idle = {
        name: norm.eps
        for name, norm in model.named_modules()
        if isinstance(norm, nn.BatchNorm2d) and not any(parameter.requires_grad for parameter in norm.parameters())
    }
    _freeze_norms(model, idle)


def _freeze_norms(model: nn.Module, eps_of: Mapping[str, float]) -> None:
    """Put a frozen norm with this eps, and with the weights and statistics of the live one, in each one's place."""
    for name, eps in eps_of.items():
        parent, _, child = name.rpartition(".")
        norm = model.get_submodule(name)
        frozen = FrozenBatchNorm2d(norm.num_features, eps=eps)
        frozen.load_state_dict(norm.state_dict())
        setattr(model.get_submodule(parent), child, frozen)


def _built(row: TorchvisionArchitecture, options: Mapping[str, Any], **how: Any) -> nn.Module:
    """What torchvision's builder makes, with the anchors that the options name.

    They are set afterwards, for published weights fit torchvision's own anchors, and one of its builders takes none.
    """
    arguments = {key: value for key, value in options.items() if key not in _ANCHORS}
    builder = head_of(row).build if row.own_builder else get_model_builder(row.name)
    model: nn.Module = builder(**how, **arguments)
    set_anchors(row, model, options)
    return model


def set_anchors(row: HeadArchitecture, model: nn.Module, options: Mapping[str, Any]) -> None:
    """Set the anchors that the options name; what is left out stays as it is."""
    if not set(_ANCHORS) & set(options):
        return
    head = head_of(row)
    before = head.anchors(model)
    sizes = options.get("anchor_sizes", before.sizes)
    ratios = (options["aspect_ratios"],) * len(sizes) if "aspect_ratios" in options else before.aspect_ratios
    head.set_anchors(model, AnchorGenerator(sizes, ratios))


def _from_file(
    row: TorchvisionArchitecture, path: Path, num_classes: int, options: Mapping[str, Any]
) -> tuple[nn.Module, Head]:
    """Start from a state dict of a whole detector; its head is kept where it has as many classes as the user.

    Where published weights have frozen norms, a state dict without BatchNorm counters was trained with such: it is
    built as torchvision builds its own pretrained model, with the published weights' eps. Where their norms are live,
    the layers that torchvision freezes are frozen. A checkpoint of this harness says itself how it was built.
    """
    content = states.read(path)
    state = states.state_dict_of(content, path)
    head = head_of(row)
    if head.CLASS_WEIGHT not in state:
        raise WeightsError(f"{path}: is not a state dict of {row.name}: it has no {head.CLASS_WEIGHT}")
    trained = content.get("model", {}) if "harness_checkpoint" in content else {}
    unsaid = [key for key in (*_ANCHORS, *_NORMALISATION) if key in trained and key not in options]
    if unsaid:
        raise WeightsError(f"{path}: was trained with {', '.join(unsaid)}: give these under model, as they were or new")
    as_trained = {key: value for key, value in options.items() if key not in _ANCHORS} | {
        key: trained[key] for key in _ANCHORS if key in trained
    }
    live = _built(row, as_trained, weights=None, weights_backbone=None, num_classes=num_classes)
    found = head.count_classes(state, live)
    head.replace_head(live, found)
    nested = content.get("structure")
    structure = nested if isinstance(nested, Mapping) else content  # format 1 of a checkpoint holds these keys itself
    if {"frozen_norms", "frozen_parameters"} <= set(structure):
        apply_structure(live, Structure.of_plain(structure))
    elif row.frozen_norm_eps is None or not any(name.endswith("num_batches_tracked") for name in state):
        apply_structure(live, _pretrained_structure(live, row))
    states.load_into(live, state, str(path))
    set_anchors(row, live, options)
    if found == num_classes:
        return live, "kept"
    head.replace_head(live, num_classes)
    return live, "replaced"


def _pretrained_structure(live: nn.Module, row: TorchvisionArchitecture) -> Structure:
    """What torchvision's builder freezes of a network that starts from published weights."""
    norms = {
        name: module.eps if row.frozen_norm_eps is None else row.frozen_norm_eps
        for name, module in live.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        and (row.frozen_norm_eps is not None or f"{name}.".startswith(row.frozen_prefixes))
    }
    parameters = tuple(
        name
        for name, _ in live.named_parameters()
        if name.startswith(row.frozen_prefixes) and name.rpartition(".")[0] not in norms
    )
    return Structure(frozen_norms=norms, frozen_parameters=parameters)
