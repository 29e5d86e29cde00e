"""How far a run is, from what an observer hears of it: trials done and pending, the current step, the time to come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.observers.wording import describe
from harness.store.events import ResumedEvent, StepEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.executors.base import AttemptResult
    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import Event
    from harness.suite.trial import Trial

_ENOUGH = 0.1  # of a trial's training, to foresee the rest by


class RunState:
    """Trials done and pending, and how long the rest may take.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = 0
        self.skipped = 0
        self.given_up = 0
        self.succeeded = 0
        self.failed = 0
        self.preflight_number: tuple[int, int] | None = None  # of how many, while one is in progress
        self.trial: Trial | None = None
        self.step: StepEvent | None = None
        self.stage = ""
        self.race: RaceForecast | None = None  # what follows the trials
        self.turn: str | None = None  # in a race, while there is one
        self._preflight_seeds = 0
        self._fraction_before: float | None = 0.0  # of the training, by earlier attempts
        self._attempt_started = 0.0
        self._expected: dict[str, float] = {}
        self._pending: list[str] | None = None  # ids; unknown before `expect`
        self._trial_started = 0.0
        self._spent_s = 0.0
        self._ended: list[str] = []

    def begin(self, plan: Plan) -> None:
        """Count what there is to do."""
        self.total = len(plan.selected)
        self.skipped = sum(trial.trial_id in plan.records for trial in plan.selected)
        self.given_up = len(plan.given_up)

    def preflight(self, trials: Sequence[Trial], number: int, count: int) -> None:
        """The preflight of these seeds starts."""
        self._begin_trial(trials[0])
        self.preflight_number, self._preflight_seeds = (number, count), len(trials)

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """These trials follow; seconds of each by id."""
        self._expected = dict(expected)
        self._pending = [trial.trial_id for trial in trials]

    def start(self, trial: Trial) -> None:
        """An attempt of a trial starts."""
        if self.trial is None:  # else it is another attempt of the same trial
            self._begin_trial(trial)
        self.preflight_number = None
        self.step, self.stage, self._fraction_before = None, "starting", 0.0
        self._attempt_started = self._clock()

    def event(self, event: Event) -> None:
        """The attempt reports an event."""
        self.stage = event.stage or self.stage
        if isinstance(event, StepEvent):
            self.step = event
            if self._fraction_before is None:
                self._fraction_before = self.trained_fraction()
        elif isinstance(event, ResumedEvent):
            self._fraction_before = None  # the next step says what earlier attempts have trained

    def end(self, result: AttemptResult) -> None:
        """The current trial, or preflight, ended."""
        assert self.trial is not None
        seeds = self._preflight_seeds if self.preflight_number else 1
        if self.preflight_number is None:
            self._spent_s += self.elapsed_s()
            self._ended.append(self.trial.trial_id)
            self._pending = [trial_id for trial_id in self._pending or () if trial_id != self.trial.trial_id]
        self.succeeded += result.recorded
        self.failed += seeds * (not result.recorded and result.attempt.outcome != "preflight_passed")
        self.trial, self.preflight_number = None, None

    def elapsed_s(self) -> float:
        """Return the seconds since the current trial began, over all its attempts in this run."""
        return self._clock() - self._trial_started

    def trained_fraction(self) -> float:
        """Return how much of the current trial's training is done, from 0 to 1."""
        step = self.step
        return 0.0 if step is None else (step.epoch - 1 + step.step / step.steps) / step.epochs

    def remaining_s(self) -> float | None:
        """Return the seconds that the rest takes: what is expected, scaled by what the trials so far really took.

        None where that is unknown.
        """
        pending = self._pending
        if self.preflight_number or pending is None or any(trial_id not in self._expected for trial_id in pending):
            return None
        expected_so_far = sum(self._expected.get(trial_id, 0.0) for trial_id in self._ended)
        scale = self._spent_s / expected_so_far if expected_so_far else 1.0
        if self.trial is None:
            return sum(self._expected[trial_id] for trial_id in pending) * scale
        current = self.trial.trial_id
        waiting_s = sum(self._expected[trial_id] for trial_id in pending if trial_id != current) * scale
        trained = self.trained_fraction() - (self._fraction_before or 0.0)
        if trained > _ENOUGH:
            return waiting_s + (self._clock() - self._attempt_started) * (1 - self.trained_fraction()) / trained
        return waiting_s + max(0.0, self._expected.get(current, 0.0) * scale - self.elapsed_s())

    def doing(self) -> str:
        """Say in a few words what the current trial is doing."""
        return describe(self.stage, self.step)

    def _begin_trial(self, trial: Trial) -> None:
        self.trial, self.step, self.stage = trial, None, "starting"
        self._trial_started = self._clock()
