"""Fine-tuning: optimiser, schedule, the loop over steps, and the clock on it.

Training speed counts whole steps, from asking for the batch to the optimiser's update with the device synchronised (the
check that the loss is finite waits for it anyway), without the first epoch or its first 100 steps, whichever is less,
and without the first step after a resumption. Checkpoints and pauses lie outside of every clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from harness.store.record import Epoch
from harness.trial.inputs.loader import EpochBatches, checked

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from harness.suite.schema import Hyperparameters
    from harness.trial.models.base import Detector
    from harness.trial.train.resume import State
from harness.trial.train.step import TrainStep

_SKIPPED_STEPS = 100

OnStep = Callable[[int, int, int, float, float], None]
Validate = Callable[[], tuple[float | None, float | None]]


class Keep(Protocol):
    """Whoever keeps what training has come to."""

    def __call__(self, state: Callable[[], State], steps: int, *, epoch_ended: bool) -> None:
        """After each step, and after each epoch: a function that gives the state, and the steps done so far.

        May raise to stop the training.
        """


def _keep_nothing(state: Callable[[], State], steps: int, *, epoch_ended: bool) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Clock:
    """Time of whole steps. It is part of a checkpoint, so that no pause is ever measured.

    `left_out` steps are still to come that do not count: the start of the training, and one after each resumption.
    """

    left_out: int
    total_s: float = 0.0
    wait_s: float = 0.0
    images: int = 0

    def add(self, *, total_s: float, wait_s: float, images: int) -> None:
        """One step: seconds in all, seconds of it waiting for data, images."""
        if self.left_out:
            self.left_out -= 1
            return
        self.total_s += total_s
        self.wait_s += wait_s
        self.images += images

    @property
    def images_per_s(self) -> float | None:
        """Training speed; None where no step counts."""
        return self.images / self.total_s if self.total_s else None

    @property
    def wait_fraction(self) -> float | None:
        """Share of the time that was spent waiting for data."""
        return self.wait_s / self.total_s if self.total_s else None


@dataclass(slots=True, kw_only=True)
class Position:
    """Where training stands: `step` steps of `epoch` are done; `sums` and `epoch_s` are of this epoch so far.

    `trained_s` is all time in steps and validations, of every attempt, whatever lay between them.
    """

    epoch: int = 1
    step: int = 0
    lr: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    epoch_s: float = 0.0
    trained_s: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What fine-tuning leaves beside the model; `wall_s` is all time in steps and validations, over all attempts."""

    epochs: tuple[Epoch, ...]
    images_per_s: float | None
    data_wait_fraction: float | None
    wall_s: float


def finetune(  # noqa: PLR0913 - what it trains on, and whom it tells
    detector: Detector,
    loader: Iterable[Any],
    batches: EpochBatches,
    hyperparameters: Hyperparameters,
    *,
    device: torch.device,
    on_step: OnStep,
    validate: Validate,
    state: State | None = None,
    keep: Keep = _keep_nothing,
) -> Training:
    """Train the detector in place, from its beginning or from a state.

    Args:
        on_step: told of (epoch, step, steps of an epoch, loss, images/s) after each step.
        validate: gives (map, map_50) on the val split; called every `validate_every` epochs.
        state: what an earlier attempt gave to `keep`; training goes on from there, on the CPU to the same bits.
        keep: called after each step and after each epoch.

    Raises:
        DivergedError: a loss is not finite; names the step and each part.
        DataError: an item is not usable.
    """
    h = hyperparameters
    train_step = TrainStep(detector, h, device=device, steps_per_epoch=len(batches))
    now = Position()
    clock = Clock(left_out=min(len(batches), _SKIPPED_STEPS))
    if state is not None:
        now, clock = Position(**state["position"]), Clock(**state["clock"])
        clock.left_out = max(clock.left_out, 1)
        train_step.restore(state)
        state.clear()  # or a second copy of the weights would lie in memory as long as training takes

    def current() -> State:
        return {**train_step.state(), "position": asdict(now), "clock": asdict(clock)}

    for epoch in range(now.epoch, (h.epochs or 0) + 1):
        detector.module.train()
        batches.begin(epoch, after=now.step)
        now.lr = now.lr if now.step else train_step.lr
        asked = time.perf_counter()
        for raw in loader:
            batch = checked(raw)
            waited = time.perf_counter() - asked
            parts = train_step.step(batch, f"epoch {epoch}, step {now.step + 1} of {len(batches)}")
            took = time.perf_counter() - asked
            now.step += 1
            now.epoch_s += took
            now.trained_s += took
            for name, value in parts.items():
                now.sums[name] = now.sums.get(name, 0.0) + value
            clock.add(total_s=took, wait_s=waited, images=len(batch))
            on_step(epoch, now.step, len(batches), sum(parts.values()), len(batch) / took)
            keep(current, (epoch - 1) * len(batches) + now.step, epoch_ended=False)
            asked = time.perf_counter()
        validates = bool(h.validate_every) and epoch % h.validate_every == 0
        if validates:  # which may take long
            keep(current, epoch * len(batches), epoch_ended=True)
        _close(now, len(batches), validate if validates else None)
        keep(current, epoch * len(batches), epoch_ended=True)
    train_step.optimizer.zero_grad(set_to_none=True)  # gradients left behind would count as memory of inference
    return Training(
        epochs=tuple(Epoch(**point) for point in now.curve),
        images_per_s=clock.images_per_s,
        data_wait_fraction=clock.wait_fraction,
        wall_s=now.trained_s,
    )


def _close(now: Position, steps: int, validate: Validate | None) -> None:
    """End an epoch: its point of the curve, and the position before the next one."""
    means = {name: value / steps for name, value in now.sums.items()}
    started = time.perf_counter()
    val = validate() if validate else (None, None)
    now.trained_s += time.perf_counter() - started
    point = Epoch(
        epoch=now.epoch,
        lr=now.lr,
        loss=sum(means.values()),
        loss_parts=means,
        wall_s=now.epoch_s,
        val_map=val[0],
        val_map_50=val[1],
    )
    now.curve.append(asdict(point))
    now.epoch, now.step, now.sums, now.epoch_s = now.epoch + 1, 0, {}, 0.0
