"""What is found on val after an epoch, the loss on it, and what follows: rates that fall, and an early end.

What follows depends on the learning curve alone, which is part of a checkpoint: a resumed training decides the same.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from harness.trial.inputs.item import as_float
from harness.trial.precision import autocast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.suite.schema import EarlyStopping
    from harness.trial.inputs.item import Item
    from harness.trial.models.base import Detector

_FIXED = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # noqa: SLF001 - each base has no other name
_RISE = 1e-4  # by which fraction mAP must rise for a plateau to end; torch's ReduceLROnPlateau by default


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The accuracy on val and the loss on it; None where there is none, or where the loss is not finite."""

    map: float | None = None
    map_50: float | None = None
    loss: float | None = None


def validation_loss(
    detector: Detector,
    items: Iterable[Item],
    *,
    batch_size: int,
    device: torch.device,
    precision: str,
    on_batch: Callable[[int], None] = lambda _images: None,
) -> float | None:
    """The training loss on images as they are, averaged over them; crowd regions are left out, as in training.

    Detectors give losses in training mode only. Here norms and dropout stay in evaluation mode, no gradient is kept,
    and the boxes that a loss samples are drawn from generators of their own: training goes on as if nothing had been.
    Waits for the device once.

    Args:
        batch_size: the number of images to pass at once.
        on_batch: called after each batch with the number of images done.
    """
    total, count = torch.zeros((), device=device), 0
    remaining = iter(items)
    with _losses_without_training(detector.module, device):
        while batch := list(itertools.islice(remaining, batch_size)):
            images = [as_float(item.image.to(device, non_blocking=True)) for item in batch]
            targets = [_target(item, device) for item in batch]
            with autocast(device, precision):
                losses = detector.losses(images, targets)
            total += sum(losses.values(), start=torch.zeros((), device=device)).float() * len(batch)
            count += len(batch)
            on_batch(count)
    loss = float(total) / count if count else math.nan
    return loss if math.isfinite(loss) else None


def _target(item: Item, device: torch.device) -> dict[str, torch.Tensor]:
    """What a loss is computed from: the item's objects without its crowd regions."""
    columns = {"boxes": item.boxes, "labels": item.labels, "masks": item.masks}
    return {key: value[~item.crowds].to(device) for key, value in columns.items() if value is not None}


@contextlib.contextmanager
def _losses_without_training(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Within the context the module gives losses, and neither it nor a random generator changes."""
    modes = [(part, part.training) for part in module.modules()]
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(0)  # the same boxes are sampled after each epoch
        if device.type == "cuda":
            torch.cuda.manual_seed(0)
        module.train()
        for part, _ in modes:
            if isinstance(part, _FIXED):
                part.eval()
        try:
            yield
        finally:
            for part, training in modes:
                part.training = training


def stops_early(maps: Sequence[float], rule: EarlyStopping | None) -> bool:
    """Whether training ends: mAP has not risen by more than `min_delta` for `patience` validations in a row.

    Args:
        maps: the mAP of each validation so far.
        rule: None never ends a training.
    """
    if rule is None:
        return False
    best, stale = -math.inf, 0
    for value in maps:
        best, stale = (value, 0) if value > best + rule.min_delta else (best, stale + 1)
    return stale >= rule.patience


def plateau_factor(maps: Sequence[float], *, gamma: float, patience: int) -> float:
    """The factor on the learning rate of `schedule: plateau`: times `gamma` after each plateau.

    A plateau is more than `patience` validations in a row without a rise, as torch's ReduceLROnPlateau counts them.

    Args:
        maps: the mAP of each validation so far.
    """
    best, stale, factor = -math.inf, 0, 1.0
    for value in maps:
        best, stale = (value, 0) if value > best * (1 + _RISE) else (best, stale + 1)
        if stale > patience:
            factor, stale = factor * gamma, 0
    return factor
