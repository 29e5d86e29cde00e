"""One training step: the state that it changes, and how that state is saved and restored."""

from __future__ import annotations

import contextlib
import logging
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from harness.errors import DivergedError
from harness.trial.train import resume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from harness.suite.schema import Hyperparameters
    from harness.trial.inputs.loader import Batch
    from harness.trial.models.base import Detector
    from harness.trial.train.resume import State
from harness.trial.inputs.item import as_float
from harness.trial.models.trainable import set_training_mode
from harness.trial.precision import autocast
from harness.trial.train.ema import WeightAverage
from harness.trial.train.optim import build_optimizer, schedule
from harness.trial.train.speedups import Speedups
from harness.trial.train.validate import plateau_factor

log = logging.getLogger(__name__)

ADVICE = "lower lr, lengthen warmup_steps, or set clip_grad_norm"
MAX_OVERFLOWS = 20  # in a row; each halves the scaler's factor, from 65536 to below 0.1


@dataclass(slots=True, kw_only=True)
class Overflows:
    """The steps in a row in which fp16 overflowed: the scaler skips such a step and halves its factor.

    Attributes:
        in_a_row: of the steps before the last one.
        scale: the scaler's factor in the last step.
        finite: whether the last step's loss was finite.
    """

    in_a_row: int = 0
    scale: float = 0.0
    finite: bool = True

    def count(self, *, scale: float, finite: bool) -> int:
        """Add a step, and return how many in a row overflowed as far as is known: its own gradients are not yet."""
        overflowed = not self.finite or scale < self.scale
        self.in_a_row = self.in_a_row + 1 if overflowed else 0
        self.scale, self.finite = scale, finite
        return self.in_a_row + (not finite)


class TrainStep:
    """A detector with its optimizer, schedule and scaler: what one step changes."""

    def __init__(
        self, detector: Detector, h: Hyperparameters, *, device: torch.device, epoch_steps: Sequence[int]
    ) -> None:
        self._detector, self._model, self._h, self._device = detector, detector.module, h, device
        self.optimizer = build_optimizer(detector.parameter_groups(h), h)
        self._parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self._schedule, self._plateau = schedule(h, epoch_steps=epoch_steps), 1.0
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: self._schedule(step) * self._plateau
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=h.precision == "fp16")
        self._overflows = Overflows()
        self._average = WeightAverage(self._model, h.ema) if h.ema is not None else None
        self._scales = h.augmentation.multiscale
        self._speedups = Speedups(detector, h.speedups)

    @property
    def speedups(self) -> tuple[str, ...]:
        """The names of the speed-ups that this network has parts for."""
        return self._speedups.names

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def follow(self, maps: Sequence[float], *, done: float | None = None) -> None:
        """Set the rates of a plateau schedule by the mAP of each validation so far, and of a length that is a time.

        Args:
            done: the fraction of the training's time that is used, if its length is a time.
        """
        if self._h.schedule == "plateau":
            self._plateau = plateau_factor(maps, gamma=self._h.gamma, patience=self._h.plateau_patience)
        if self._h.schedule == "plateau" or done is not None:
            self._set_rates(done)

    def _set_rates(self, done: float | None) -> None:
        factor = self._schedule(self._scheduler.last_epoch, done) * self._plateau
        for group, rate in zip(self.optimizer.param_groups, self._scheduler.base_lrs, strict=True):
            group["lr"] = rate * factor

    def train_mode(self) -> None:
        """Put the module in training mode, as far as its norms train, with the speed-ups."""
        set_training_mode(self._detector, trainable_layers=self._h.trainable_layers, batch_norm=self._h.batch_norm)
        self._speedups.put_in()

    def deployed(self) -> AbstractContextManager[None]:
        """Within the context the module has the weights to deploy: the averaged ones with `ema`, else those it has.

        The speed-ups of training are out of it, until it is put in training mode again.
        """
        self._speedups.take_out()
        return self._average.in_place() if self._average is not None else contextlib.nullcontext()

    def finish(self) -> None:
        """End the training: leave the weights to deploy in the module, and no gradients, which would take memory."""
        self._speedups.take_out()
        if self._average is not None:
            self._average.swap()
            self._average = None
        self.optimizer.zero_grad(set_to_none=True)

    def step(
        self, batch: Batch, where: str, *, done: float | None = None, scale: float | None = None
    ) -> dict[str, float] | None:
        """Update the weights once from a batch, in `accumulate` parts.

        The device is waited for once, after all forward and backward passes: the time until then is theirs.

        Args:
            batch: images and targets.
            where: the step's name, for messages.
            done: the fraction of the training's time that is used, if its length is a time.
            scale: of the images, with multi-scale training; None: drawn at random.

        Returns:
            Each part of the loss, averaged over the images; None if it overflowed in fp16, where the step is skipped.

        Raises:
            DivergedError: a loss is not finite; in fp16, if that persists.
        """
        self.optimizer.zero_grad(set_to_none=True)
        if done is not None:
            self._set_rates(done)
        with self._training_scale(scale):
            weighted = self._backward(batch)
        one = self._scaler.scale(torch.ones((), device=self._device))
        *values, factor = torch.stack([*(loss.detach().float() for _, loss, _ in weighted), one]).tolist()
        sums: dict[str, float] = {}
        for (name, _, weight), value in zip(weighted, values, strict=True):
            sums[name] = sums.get(name, 0.0) + value * weight
        finite = self._check(sums, factor, where)
        if self._h.clip_grad_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, self._h.clip_grad_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self._scheduler.step()
        if self._average is not None and finite:
            self._average.update()
        return sums if finite else None

    @contextlib.contextmanager
    def _training_scale(self, scale: float | None) -> Iterator[None]:
        """Within the context the detector resizes images to a scale, which torch's generator draws if it is None."""
        if self._scales is None:
            yield
            return
        low, high = self._scales
        self._detector.set_training_scale(low + (high - low) * float(torch.rand(())) if scale is None else scale)
        try:
            yield
        finally:
            self._detector.set_training_scale(1.0)  # validation's loss passes through the same method

    def _backward(self, batch: Batch) -> list[tuple[str, Tensor, float]]:
        """Run all forward and backward passes without waiting for the device.

        Returns:
            Each part of the loss of each part of the batch: its name, its value, and its weight in the whole batch.
        """
        device = self._device
        size = -(-len(batch) // self._h.accumulate)
        weighted: list[tuple[str, Tensor, float]] = []
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            images = [as_float(image.to(device, non_blocking=True)) for image, _ in part]
            targets = [
                {key: value.to(device, non_blocking=True) for key, value in target.items()} for _, target in part
            ]
            with autocast(device, self._h.precision):
                losses = self._detector.losses(images, targets)
            weight = len(part) / len(batch)
            loss = self._scaler.scale(sum(losses.values(), start=torch.zeros((), device=device)) * weight)
            torch.autograd.backward(loss)
            weighted += [(name, value.detach(), weight) for name, value in losses.items()]
        return weighted

    def _check(self, losses: dict[str, float], scale: float, where: str) -> bool:
        """Return whether the loss is finite.

        Raises:
            DivergedError: it is not, or in fp16 it or its gradients have not been for too many steps in a row.
        """
        finite = all(map(math.isfinite, losses.values()))
        overflows = self._overflows.count(scale=scale, finite=finite)
        parts = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        if self._h.precision != "fp16" and not finite:
            raise DivergedError(f"the loss is not finite at {where}: {parts}; {ADVICE}")
        if overflows >= MAX_OVERFLOWS:
            raise DivergedError(
                f"the loss or its gradients were not finite in fp16 in {overflows} steps in a row, the last at "
                f"{where}: {parts}; use precision: bf16, {ADVICE}"
            )
        if not finite:
            log.warning("%s: the loss overflowed in fp16, so the step is skipped", where)
        return finite

    def state(self) -> State:
        """Return everything that the next step depends on."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._scheduler.state_dict(),
            "scaler": self._scaler.state_dict(),
            "overflows": asdict(self._overflows),
            "random": resume.random_state(self._device),
            **({"ema": self._average.state()} if self._average is not None else {}),
        }

    def restore(self, state: State) -> None:
        """Continue from a state that `state` returned."""
        self._model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scheduler.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self._overflows = Overflows(**state.get("overflows", {}))  # versions before 0.4 kept none
        if self._average is not None:
            self._average.restore(state["ema"])
        resume.restore_random_state(state["random"], self._device)
