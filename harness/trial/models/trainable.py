"""Which parts of a detector train: the stages of its backbone, and its BatchNorm layers. For every family alike.

Owns `trainable_layers` and `batch_norm` of the hyperparameters. What a family freezes by itself stays as it is where
they are left out. A frozen norm (a class such as torchvision's FrozenBatchNorm2d, whose values are buffers) that is to
train becomes a `ThawedBatchNorm2d` of the same values under the same names; checkpoints remember which these are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from harness.errors import TrialError
from harness.trial.models.frozen_norms import VALUES, eps_of, frozen_norms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.trial.models.base import Detector

Rule = Literal["frozen", "eval", "train"]

_LIVE = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the base of all of them has no other name


class ThawedBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm2d that was a frozen norm; its state dict has the frozen norm's names, so no counter of batches.

    Attributes:
        after: what the frozen norm did to its output in the same module (timm's: dropout and activation).
    """

    num_batches_tracked: Any

    def __init__(self, frozen: nn.Module, eps: float) -> None:
        values: dict[str, Any] = {name: getattr(frozen, name) for name in VALUES}
        super().__init__(len(values["weight"]), eps=eps, device=values["weight"].device)
        self.num_batches_tracked = None
        self.train(frozen.training)
        self.after = tuple(getattr(frozen, name, nn.Identity()) for name in ("drop", "act"))
        with torch.no_grad():
            for name, value in values.items():
                getattr(self, name).copy_(value)

    def forward(self, batch: Tensor) -> Tensor:
        """Normalise as BatchNorm2d does, then what follows in this module."""
        batch = super().forward(batch)
        for function in self.after:
            batch = function(batch)
        return batch


def apply(detector: Detector, *, trainable_layers: int | Literal["all"] | None, batch_norm: Rule | None) -> None:
    """Let these parts of the detector train and no others; None leaves what the family chose.

    Args:
        detector: as its family built it.
        trainable_layers: how many stages of the backbone train, from its output on; the others are fixed altogether,
            their BatchNorm too. What lies outside of the backbone's stages is left as it is.
        batch_norm: `frozen` fixes statistics and affine parameters of all BatchNorm layers, `eval` the statistics,
            `train` nothing; the latter two thaw norms that the family froze.

    Raises:
        TrialError: the detector has no such parts; says which it has.
    """
    if batch_norm is not None:
        _set_norms(detector.module, batch_norm)
    if trainable_layers is not None:
        stages = _stages(detector, trainable_layers)
        n_frozen = 0 if trainable_layers == "all" else len(stages) - trainable_layers
        for number, stage in enumerate(stages):
            _set_stage(stage, trains=number >= n_frozen, norms_train=batch_norm != "frozen")


def set_training_mode(
    detector: Detector, *, trainable_layers: int | Literal["all"] | None, batch_norm: Rule | None
) -> None:
    """Put the module in training mode, but BatchNorm layers whose statistics are fixed in evaluation mode."""
    detector.module.train()
    fixed: list[nn.Module] = []
    if batch_norm in ("frozen", "eval"):
        fixed.append(detector.module)
    if isinstance(trainable_layers, int):
        stages = list(detector.backbone_stages())
        fixed += stages[: len(stages) - trainable_layers]
    for part in fixed:
        for module in part.modules():
            if isinstance(module, _LIVE):
                module.eval()


def thawed(module: nn.Module) -> dict[str, float]:
    """The norms that were thawed, by name, with their eps: what `thaw` needs."""
    return {name: part.eps for name, part in module.named_modules() if isinstance(part, ThawedBatchNorm2d)}


def thaw(module: nn.Module, norms: Mapping[str, float]) -> None:
    """Put a trainable norm of the same values and this eps in the place of each of these norms.

    Raises:
        AttributeError: there is none of this name.
    """
    for name, eps in norms.items():
        parent, _, child = name.rpartition(".")
        holder = module.get_submodule(parent)
        setattr(holder, child, ThawedBatchNorm2d(getattr(holder, child), eps))


def _set_norms(module: nn.Module, rule: Rule) -> None:
    """Set what all BatchNorm layers of a module train.

    Raises:
        TrialError: it has none.
    """
    frozen = {name: eps_of(part) for name, part in frozen_norms(module).items()}
    if rule != "frozen":
        thaw(module, frozen)
    live = [part for part in module.modules() if isinstance(part, _LIVE)]
    if not live and not frozen:
        raise TrialError(
            f"batch_norm: {rule}: this architecture has no batch normalisation; write batch_norm: null in its own "
            "hyperparameters, or leave it out of the suite's"
        )
    for norm in live:
        for parameter in norm.parameters(recurse=False):
            parameter.requires_grad_(rule != "frozen")


def _stages(detector: Detector, trainable_layers: int | Literal["all"]) -> Sequence[nn.Module]:
    """The stages of the backbone.

    Raises:
        TrialError: there are none, or fewer.
    """
    stages = list(detector.backbone_stages())
    if not stages:
        raise TrialError(
            f"trainable_layers: {trainable_layers}: this architecture does not tell the stages of its backbone; write "
            "trainable_layers: null in its own hyperparameters, or leave it out of the suite's"
        )
    if trainable_layers != "all" and trainable_layers > len(stages):
        raise TrialError(
            f"trainable_layers: {trainable_layers}: the backbone has {len(stages)} stages; write a number from 0 to "
            f"{len(stages)}, or all"
        )
    return stages


def _set_stage(stage: nn.Module, *, trains: bool, norms_train: bool) -> None:
    """Let the parameters of a stage train or not; with `norms_train` False those of BatchNorm layers do not."""
    for module in stage.modules():
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(trains and (norms_train or not isinstance(module, _LIVE)))
