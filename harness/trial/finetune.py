"""Fine-tuning: optimiser, schedule, the loop over steps, and the clock on it.

Training speed counts whole steps, from asking for the batch to the optimiser's update with the device synchronised (the
check that the loss is finite waits for it anyway), without the first epoch or its first 100 steps, whichever is less.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.errors import DivergedError
from harness.store.record import Epoch
from harness.trial.loader import Batch, EpochBatches, checked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.suite.spec import Hyperparameters

AUTOCAST = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_SKIPPED_STEPS = 100
_WARMUP_STEPS = 1000  # torchvision's references/detection/engine.py

OnStep = Callable[[int, int, int, float, float], None]
Validate = Callable[[], tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """One optimiser step: seconds in all, seconds of it waiting for data, images."""

    total_s: float
    wait_s: float
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What fine-tuning leaves beside the model."""

    epochs: tuple[Epoch, ...]
    images_per_s: float | None
    data_wait_share: float | None
    wall_s: float


def finetune(
    model: nn.Module,
    loader: Iterable[Any],
    batches: EpochBatches,
    hyperparameters: Hyperparameters,
    *,
    device: torch.device,
    on_step: OnStep,
    validate: Validate,
) -> Training:
    """Train the model in place.

    Args:
        on_step: told of (epoch, step, steps of an epoch, loss, images/s) after each step.
        validate: gives (map, map_50) on the val split; called every `validate_every` epochs.

    Raises:
        DivergedError: a loss is not finite; names the step and each part.
        DataError: an item is not usable.
    """
    h = hyperparameters
    epochs = h.epochs or 0
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(parameters, h)
    factor = schedule(h, steps_per_epoch=len(batches))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    scaler = torch.amp.GradScaler(device.type, enabled=h.precision == "fp16")
    curve: list[Epoch] = []
    times: list[StepTime] = []
    started = time.perf_counter()
    for epoch in range(1, epochs + 1):
        model.train()
        batches.epoch = epoch
        sums: dict[str, float] = {}
        epoch_started = asked = time.perf_counter()
        lr = optimizer.param_groups[0]["lr"]
        for step, raw in enumerate(loader, start=1):
            batch = checked(raw)
            waited = time.perf_counter() - asked
            where = f"epoch {epoch}, step {step} of {len(batches)}"
            parts = _step(model, batch, optimizer, scaler, parameters, h, device, where)
            scheduler.step()
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            now = time.perf_counter()
            times.append(StepTime(total_s=now - asked, wait_s=waited, images=len(batch)))
            on_step(epoch, step, len(batches), sum(parts.values()), len(batch) / (now - asked))
            asked = time.perf_counter()
        wall = time.perf_counter() - epoch_started
        means = {name: value / len(batches) for name, value in sums.items()}
        val = validate() if h.validate_every and epoch % h.validate_every == 0 else (None, None)
        curve.append(
            Epoch(
                epoch=epoch,
                lr=lr,
                loss=sum(means.values()),
                loss_parts=means,
                wall_s=wall,
                val_map=val[0],
                val_map_50=val[1],
            )
        )
    optimizer.zero_grad(set_to_none=True)  # gradients left behind would count as memory of inference
    speed, share = training_speed(times, steps_per_epoch=len(batches))
    return Training(
        epochs=tuple(curve), images_per_s=speed, data_wait_share=share, wall_s=time.perf_counter() - started
    )


def build_optimizer(parameters: list[nn.Parameter], h: Hyperparameters) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW with torch's betas; both fused: one pass over the parameters."""
    lr, decay = h.lr or 0.0, h.weight_decay or 0.0
    if h.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=h.momentum, weight_decay=decay, fused=True)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay, fused=True)


def schedule(h: Hyperparameters, *, steps_per_epoch: int) -> Callable[[int], float]:
    """The factor on the learning rate at each step, counted from 0: linear warm-up times the schedule."""
    total = steps_per_epoch * (h.epochs or 0)
    warmup = min(_WARMUP_STEPS, steps_per_epoch - 1) if h.warmup_steps == "epoch" else h.warmup_steps

    def factor(step: int) -> float:
        warm = h.warmup_factor + (1 - h.warmup_factor) * step / warmup if step < warmup else 1.0
        if h.schedule == "cosine":
            return warm * 0.5 * (1 + math.cos(math.pi * min(step, total) / total))
        if h.schedule == "multistep":
            return warm * h.gamma ** sum(step >= milestone * steps_per_epoch for milestone in h.milestones or ())
        return warm

    return factor


def training_speed(times: list[StepTime], *, steps_per_epoch: int) -> tuple[float | None, float | None]:
    """(images/s, share of time spent waiting for data) without the start; None where nothing is left after it."""
    counted = times[min(steps_per_epoch, _SKIPPED_STEPS) :]
    total = sum(step.total_s for step in counted)
    if not total:
        return None, None
    return sum(step.images for step in counted) / total, sum(step.wait_s for step in counted) / total


def _step(
    model: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    parameters: list[nn.Parameter],
    h: Hyperparameters,
    device: torch.device,
    where: str,
) -> dict[str, float]:
    """One update from `accumulate` parts of a batch; returns each part of the loss, averaged over the images."""
    optimizer.zero_grad(set_to_none=True)
    size = -(-len(batch) // h.accumulate)
    sums: dict[str, float] = {}
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        images = [image.to(device, non_blocking=True) for image, _ in part]
        targets = [{key: value.to(device, non_blocking=True) for key, value in target.items()} for _, target in part]
        with autocast(device, h.precision):
            losses: dict[str, Tensor] = model(images, targets)
        weight = len(part) / len(batch)
        values = {name: float(value.detach()) for name, value in losses.items()}
        if not all(math.isfinite(value) for value in values.values()):
            said = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            raise DivergedError(
                f"the loss is not finite at {where}: {said}; lower lr, lengthen warmup_steps, or set clip_grad_norm"
            )
        loss = scaler.scale(sum(losses.values(), start=torch.zeros((), device=device)) * weight)
        torch.autograd.backward(loss)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value * weight
    if h.clip_grad_norm is not None:
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, h.clip_grad_norm)
    scaler.step(optimizer)
    scaler.update()
    return sums


def autocast(device: torch.device, precision: str) -> Any:
    """The mixed-precision region of a precision; none for fp32."""
    return torch.autocast(device.type, AUTOCAST[precision], enabled=precision != "fp32")
