"""One training step: the state that it changes, and how that state is saved and restored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from harness.errors import DivergedError
from harness.trial.train import resume

if TYPE_CHECKING:
    from harness.suite.schema import Hyperparameters
    from harness.trial.inputs.loader import Batch
    from harness.trial.models.base import Detector
    from harness.trial.train.resume import State
from harness.trial.precision import autocast
from harness.trial.train.optim import build_optimizer, schedule


class TrainStep:
    """A detector with its optimizer, schedule and scaler: what one step changes."""

    def __init__(self, detector: Detector, h: Hyperparameters, *, device: torch.device, steps_per_epoch: int) -> None:
        self._detector, self._model, self._h, self._device = detector, detector.module, h, device
        self.optimizer = build_optimizer(detector.parameter_groups(h), h)
        self._parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, schedule(h, steps_per_epoch=steps_per_epoch)
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=h.precision == "fp16")

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, batch: Batch, where: str) -> dict[str, float]:
        """Update the weights once from a batch, in `accumulate` parts.

        Args:
            batch: images and targets.
            where: the step's name, for an error message.

        Returns:
            Each part of the loss, averaged over the images.

        Raises:
            DivergedError: a loss is not finite.
        """
        h, device = self._h, self._device
        self.optimizer.zero_grad(set_to_none=True)
        size = -(-len(batch) // h.accumulate)
        sums: dict[str, float] = {}
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            images = [image.to(device, non_blocking=True) for image, _ in part]
            targets = [
                {key: value.to(device, non_blocking=True) for key, value in target.items()} for _, target in part
            ]
            with autocast(device, h.precision):
                losses = self._detector.losses(images, targets)
            weight = len(part) / len(batch)
            values = {name: float(value.detach()) for name, value in losses.items()}
            if not all(math.isfinite(value) for value in values.values()):
                text = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
                raise DivergedError(
                    f"the loss is not finite at {where}: {text}; lower lr, lengthen warmup_steps, or set clip_grad_norm"
                )
            loss = self._scaler.scale(sum(losses.values(), start=torch.zeros((), device=device)) * weight)
            torch.autograd.backward(loss)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value * weight
        if h.clip_grad_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, h.clip_grad_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self._scheduler.step()
        return sums

    def state(self) -> State:
        """Return everything that the next step depends on."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._scheduler.state_dict(),
            "scaler": self._scaler.state_dict(),
            "random": resume.random_state(self._device),
        }

    def restore(self, state: State) -> None:
        """Continue from a state that `state` returned."""
        self._model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scheduler.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        resume.restore_random_state(state["random"], self._device)
