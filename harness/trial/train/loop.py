"""The training loop: epochs, steps, validation, checkpoints, and the measurement of training speed.

The time of a step is from the request for its batch until its losses are read, which waits for the device after the
backward pass, and the optimiser's update is launched; the update itself runs in the time of the next step. So the time
until the batch is there is that of waiting for data, and no work of the device hides in it but one update. Not counted
are the first epoch or its first 100 steps, whichever is less, and the first step after a resumption. Checkpoints and
pauses are never timed.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import DivergedError
from harness.store.record import Epoch
from harness.trial.inputs.loader import EpochBatches, check_batch
from harness.trial.train.resume import restoring

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from harness.suite.schema import Hyperparameters
    from harness.trial.models.base import Detector
    from harness.trial.train.length import Length
    from harness.trial.train.resume import State
from harness.trial.train.length import training_length
from harness.trial.train.step import ADVICE, TrainStep
from harness.trial.train.validate import Validation, stops_early

_SKIPPED_STEPS = 100

OnStep = Callable[[int, int, int, int, float, float], None]
Validate = Callable[[], Validation]


class SaveCheckpoint(Protocol):
    """A function that may save a checkpoint."""

    def __call__(self, state: Callable[[], State], steps: int, *, finished: bool) -> None:
        """Save a checkpoint if one is due; called after each step and after each epoch's validation.

        May raise an exception to stop the training.

        Args:
            state: returns the state to save.
            steps: the number of training steps so far.
            finished: whether the training is at its end.
        """


def _save_nothing(state: Callable[[], State], steps: int, *, finished: bool) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Clock:
    """The total time of the training steps. It is part of a checkpoint, so that pauses are not measured.

    Attributes:
        left_out: the number of next steps that are not counted, at the start and after a resumption.
        total_s: the seconds of all counted steps.
        wait_s: the seconds of them that were spent waiting for data.
        images: the images of all counted steps.
    """

    left_out: int
    total_s: float = 0.0
    wait_s: float = 0.0
    images: int = 0

    def add(self, *, total_s: float, wait_s: float, images: int) -> None:
        """Add one step: its seconds, the seconds of it spent waiting for data, and its images."""
        if self.left_out:
            self.left_out -= 1
            return
        self.total_s += total_s
        self.wait_s += wait_s
        self.images += images

    @property
    def images_per_s(self) -> float | None:
        """The training speed; None if no step was counted."""
        return self.images / self.total_s if self.total_s else None

    @property
    def wait_fraction(self) -> float | None:
        """The fraction of the time that was spent waiting for data; None if no step was counted."""
        return self.wait_s / self.total_s if self.total_s else None


@dataclass(slots=True, kw_only=True)
class Position:
    """The progress of a training.

    Attributes:
        epoch: the current epoch, from 1.
        step: the number of finished steps in this epoch.
        lr: the learning rate at the beginning of this epoch.
        sums: the sum of each part of the loss over this epoch's steps.
        overflowed: the number of this epoch's steps whose loss overflowed in fp16; they are not in the sums.
        epoch_s: the seconds of this epoch's steps.
        trained_s: the seconds of all steps and validations, over all attempts.
        images: the number of images of all steps.
        curve: the finished epochs, as dicts of `Epoch`.
    """

    epoch: int = 1
    step: int = 0
    lr: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    overflowed: int = 0
    epoch_s: float = 0.0
    trained_s: float = 0.0
    images: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)

    @property
    def maps(self) -> list[float]:
        """The mAP of each validation so far."""
        return [point["val_map"] for point in self.curve if point["val_map"] is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The result of fine-tuning beside the model; `wall_s` is the time of all steps and validations of all attempts.

    `images_seen` counts the images of all epochs, with their repetitions. `stopped_epoch` is the last epoch if early
    stopping ended the training before all of its epochs. `speedups` are the names of those that were in use.
    """

    epochs: tuple[Epoch, ...]
    images_seen: int
    stopped_epoch: int | None
    images_per_s: float | None
    data_wait_fraction: float | None
    wall_s: float
    speedups: tuple[str, ...]


def finetune(  # noqa: PLR0913 - its inputs and its callbacks
    detector: Detector,
    loader: Iterable[Any],
    batches: EpochBatches,
    hyperparameters: Hyperparameters,
    *,
    device: torch.device,
    on_step: OnStep,
    validate: Validate,
    state: State | None = None,
    save_checkpoint: SaveCheckpoint = _save_nothing,
) -> Training:
    """Train the detector in place, from the start or from a checkpoint's state.

    Args:
        detector: the detector to train.
        loader: yields the batches.
        batches: the order of the batches; its epoch is set here.
        hyperparameters: the hyperparameters.
        device: the device to train on.
        on_step: called with (epoch, epochs, step, steps of the epoch, loss, images/s) after each step; the number of
            epochs is an estimate if the length is a time; the loss is NaN if it overflowed in fp16.
        validate: evaluates the val split; called every `validate_every` epochs.
        state: a state that an earlier attempt saved; training continues from it, on a CPU with bit-identical results.
        save_checkpoint: called after each step and after each epoch's validation.

    Raises:
        DivergedError: a loss is not finite, in fp16 for many steps; the message names the step and each part of the
            loss.
        DataError: an item cannot be used.
    """
    h = hyperparameters
    length = training_length(h, batches)
    epoch_steps = length.epoch_steps(batches)
    train_step = TrainStep(detector, h, device=device, epoch_steps=epoch_steps)
    position = Position()
    clock = Clock(left_out=min(epoch_steps[0], _SKIPPED_STEPS))
    if state is not None:
        with restoring():
            position, clock = restored_position(state, batches), Clock(**state["clock"])
            clock.left_out = max(clock.left_out, 1)
            train_step.restore(state)
        state.clear()  # otherwise a second copy of the weights stays in memory during training

    def current() -> State:
        return {**train_step.state(), "position": asdict(position), "clock": asdict(clock)}

    train_step.follow(position.maps, done=length.done(position.trained_s))
    while not is_finished(position, length, h):
        epoch, steps = position.epoch, batches.steps(position.epoch)
        before = sum(batches.steps(earlier) for earlier in range(1, epoch))
        train_step.train_mode()
        batches.begin(epoch, after=position.step)
        position.lr = position.lr if position.step else train_step.lr
        requested_at = time.perf_counter()
        for raw in loader if not length.is_over(epoch=epoch, trained_s=position.trained_s) else ():
            batch = check_batch(raw)
            wait_s = time.perf_counter() - requested_at
            where = f"epoch {epoch}, step {position.step + 1} of {steps}"
            parts = train_step.step(batch, where, done=length.done(position.trained_s))
            step_s = time.perf_counter() - requested_at
            position.step += 1
            position.epoch_s += step_s
            position.trained_s += step_s
            position.images += len(batch)
            position.overflowed += parts is None
            for name, value in (parts or {}).items():
                position.sums[name] = position.sums.get(name, 0.0) + value
            clock.add(total_s=step_s, wait_s=wait_s, images=len(batch))
            loss = math.nan if parts is None else sum(parts.values())
            epochs = length.estimated_epochs(epoch=epoch - 1 + position.step / steps, trained_s=position.trained_s)
            on_step(epoch, epochs, position.step, steps, loss, len(batch) / step_s)
            save_checkpoint(current, before + position.step, finished=False)
            if length.is_over(epoch=epoch, trained_s=position.trained_s):
                break
            requested_at = time.perf_counter()
        steps_done = before + position.step
        validates = length.validates_after(epoch, trained_s=position.trained_s)
        with train_step.deployed() if validates else contextlib.nullcontext():
            _end_epoch(position, validate if validates else None)
        train_step.follow(position.maps, done=length.done(position.trained_s))
        save_checkpoint(current, steps_done, finished=is_finished(position, length, h))
    train_step.finish()
    ended_early = not length.is_over(epoch=position.epoch, trained_s=position.trained_s)
    return Training(
        epochs=tuple(Epoch(**point) for point in position.curve),
        stopped_epoch=position.epoch - 1 if ended_early else None,
        images_per_s=clock.images_per_s,
        data_wait_fraction=clock.wait_fraction,
        wall_s=position.trained_s,
        images_seen=position.images,
        speedups=train_step.speedups,
    )


def is_finished(position: Position, length: Length, h: Hyperparameters) -> bool:
    """Whether nothing is left to train: the length is reached and the epoch closed, or early stopping ended it."""
    over = not position.step and length.is_over(epoch=position.epoch, trained_s=position.trained_s)
    return over or stops_early(position.maps, h.early_stopping)


def restored_position(state: State, batches: EpochBatches) -> Position:
    """The position that a state holds; versions before 0.6 did not count the images, but had whole epochs alone."""
    position = Position(**state["position"])
    if "images" not in state["position"]:
        earlier = sum(batches.images(epoch) for epoch in range(1, position.epoch))
        position.images = earlier + min(position.step * batches.batch_size, batches.images(position.epoch))
    return position


def _end_epoch(position: Position, validate: Validate | None) -> None:
    """End an epoch: validate, add its point to the curve, and move the position to the next epoch.

    Raises:
        DivergedError: none of its steps had a finite loss.
    """
    steps = position.step - position.overflowed
    if not steps:
        raise DivergedError(
            f"the loss was not finite in fp16 in any step of epoch {position.epoch}; use precision: bf16, {ADVICE}"
        )
    means = {name: value / steps for name, value in position.sums.items()}
    started = time.perf_counter()
    val = validate() if validate else Validation()
    position.trained_s += time.perf_counter() - started
    point = Epoch(
        epoch=position.epoch,
        lr=position.lr,
        loss=sum(means.values()),
        loss_parts=means,
        wall_s=position.epoch_s,
        val_map=val.map,
        val_map_50=val.map_50,
        val_loss=val.loss,
    )
    position.curve.append(asdict(point))
    position.epoch, position.step, position.overflowed = position.epoch + 1, 0, 0
    position.sums, position.epoch_s = {}, 0.0
