"""The optimizer and the learning-rate schedule that the hyperparameters ask for."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.suite.schema import Hyperparameters

_WARMUP_STEPS = 1000  # torchvision's references/detection/engine.py


def build_optimizer(parameters: Iterable[Any], h: Hyperparameters) -> torch.optim.Optimizer:
    """SGD with momentum, Nesterov's on demand, or AdamW with torch's betas; both fused: one pass over the parameters.

    Args:
        parameters: parameters or groups of them, as torch.optim takes them.
    """
    lr, decay = h.lr or 0.0, h.weight_decay or 0.0
    if h.optimizer == "sgd":
        sgd = torch.optim.SGD(
            parameters, lr=lr, momentum=h.momentum, nesterov=h.nesterov, weight_decay=decay, fused=True
        )
        if h.precision == "fp16":  # if the scaler skips the first step, torch 2.15 takes uninitialised memory
            for parameter in (parameter for group in sgd.param_groups for parameter in group["params"]):
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay, fused=True)


def schedule(h: Hyperparameters, *, epoch_steps: Sequence[int]) -> Callable[..., float]:
    """Return the function from a step, counted from 0, to the factor on the learning rate: warm-up times schedule.

    Its second argument, the fraction of the training that is done, is that of the steps if it is left out: a training
    whose length is a time knows no number of steps.

    Args:
        epoch_steps: the number of steps of each epoch; of a training whose length is a time, of the first one.
    """
    ends = list(itertools.accumulate(epoch_steps))
    total = ends[-1]
    drops = [ends[int(milestone) - 1] for milestone in h.milestones or () if 1 <= milestone <= len(ends)]
    fractions = [milestone for milestone in h.milestones or () if milestone < 1]
    warmup = min(_WARMUP_STEPS, epoch_steps[0] - 1) if h.warmup_steps == "epoch" else h.warmup_steps or 0
    if h.max_warmup_epochs is not None:
        warmup = min(warmup, math.ceil(h.max_warmup_epochs * epoch_steps[0]) - 1)

    def factor(step: int, done: float | None = None) -> float:
        used, whole = (min(step, total), total) if done is None else (min(done, 1.0), 1)
        warm = h.warmup_factor + (1 - h.warmup_factor) * step / warmup if step < warmup else 1.0
        if h.schedule == "cosine":
            return warm * 0.5 * (1 + math.cos(math.pi * used / whole))
        if h.schedule == "multistep":
            passed = sum(step >= drop for drop in drops) + sum(used >= part * whole for part in fractions)
            return warm * h.gamma**passed
        return warm

    return factor
