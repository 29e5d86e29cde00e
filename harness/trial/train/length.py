"""How long a training is: a number of epochs, of images, or of minutes; and how much of it is done.

A number of images is one of epochs of which the last is shorter (`EpochBatches`). Minutes are those of steps and
validations, over all attempts, so a training that ran elsewhere or was interrupted has no more of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.suite.schema import Hyperparameters
    from harness.trial.inputs.loader import EpochBatches

_MINUTE = 60.0
_LOOKED_AT = 10  # epochs of a training whose number of them is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """The length of a training: `epochs`, or if that is None, `seconds`.

    Attributes:
        validate_every: epochs between two validations; 0: there is none.
        validates_end: whether val is evaluated after the last epoch, whatever its number: in a budget of images or
            minutes nobody can choose an interval that ends there.
    """

    epochs: int | None
    seconds: float | None
    validate_every: int
    validates_end: bool

    @property
    def known_epochs(self) -> int:
        """The number of epochs to look at for what may come: a few where it is not known."""
        return self.epochs or _LOOKED_AT

    def epoch_steps(self, batches: EpochBatches) -> list[int]:
        """The number of steps of each epoch, as far as their number is known; at least of the first."""
        return [batches.steps(epoch) for epoch in range(1, (self.epochs or 1) + 1)]

    def done(self, trained_s: float) -> float | None:
        """The fraction of the time that is used; None if the length is no time."""
        return None if self.seconds is None else min(1.0, trained_s / self.seconds)

    def is_over(self, *, epoch: int, trained_s: float) -> bool:
        """Whether no step is left.

        Args:
            epoch: the present one, counted from 1.
            trained_s: the seconds of all steps and validations.
        """
        if self.seconds is not None:
            return trained_s >= self.seconds
        return epoch > (self.epochs or 0)

    def validates_after(self, epoch: int, *, trained_s: float) -> bool:
        """Whether val is evaluated after an epoch's steps."""
        if not self.validate_every:
            return False
        last = self.is_over(epoch=epoch + 1, trained_s=trained_s)
        return epoch % self.validate_every == 0 or (last and self.validates_end)

    def expected(self, batches: EpochBatches, *, step_s: float, validation_s: float) -> tuple[int, int]:
        """The numbers of steps and of validations that will be, if each of them takes so many seconds."""
        every = self.validate_every
        if self.epochs is not None:
            steps = sum(self.epoch_steps(batches))
            return steps, sum(self.validates_after(epoch, trained_s=0.0) for epoch in range(1, self.epochs + 1))
        seconds = self.seconds or 0.0
        between_s = every * batches.steps(1) * step_s + validation_s
        validations = int(seconds / between_s) if every else 0
        return math.ceil((seconds - validations * validation_s) / step_s), validations + bool(every)

    def estimated_epochs(self, *, epoch: float, trained_s: float) -> int:
        """The number of epochs; of a length in time, what it comes to at the present pace.

        Args:
            epoch: how many are done, with a fraction.
        """
        if self.epochs is not None:
            return self.epochs
        return math.ceil(epoch / (self.done(trained_s) or 1.0))


def training_length(h: Hyperparameters, batches: EpochBatches) -> Length:
    """The length that the hyperparameters set; the batches know what a number of images comes to."""
    minutes = h.budget.minutes if h.budget is not None else None
    return Length(
        epochs=None if minutes is not None else batches.epochs or h.epochs or 0,
        seconds=None if minutes is None else minutes * _MINUTE,
        validate_every=h.validate_every,
        validates_end=h.epochs is None,
    )
