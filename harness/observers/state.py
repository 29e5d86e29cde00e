"""How far a run is, from what an observer hears of it: trials done and pending, the current step, the time to come."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.observers.progress import Pace, StageProgress
from harness.observers.wording import describe
from harness.scheduling.estimate import StageSeconds
from harness.store.events import StepEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.executors.base import AttemptResult
    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import Event
    from harness.suite.trial import Trial


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
        self._pace = Pace()
        self._progress: StageProgress | None = None  # of the attempt
        self._stages: dict[str, StageSeconds] = {}
        self._pending: list[str] | None = None  # ids; unknown before `expect`
        self._trial_started = 0.0
        self._race_left_s = 0.0  # of the race that is run
        self._turn_s = 0.0

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
        for trial_id, seconds in expected.items():
            self._stages.setdefault(trial_id, StageSeconds(training_s=seconds))
        self._pending = [trial.trial_id for trial in trials]

    def expect_stages(self, stages: Mapping[str, StageSeconds]) -> None:
        """So long take the stages of each trial, by id."""
        self._stages.update(stages)

    def begin_race(self, n_turns: int, expected_s: float) -> None:
        """A race starts, with so many turns that take so many seconds together."""
        self._race_left_s, self._turn_s = expected_s, expected_s / max(1, n_turns)
        if self.race is not None and self.race.seconds is not None:  # of those that are still to come
            self.race = replace(self.race, seconds=max(0.0, self.race.seconds - expected_s))

    def end_turn(self, n_turns: int) -> None:
        """A turn of the race ended; with it so many of the turns that were to come are done."""
        self._race_left_s = max(0.0, self._race_left_s - n_turns * self._turn_s)

    def start(self, trial: Trial) -> None:
        """An attempt of a trial starts."""
        if self.trial is None:  # else it is another attempt of the same trial
            self._begin_trial(trial)
        self.preflight_number = None
        self.step, self.stage = None, "starting"
        self._progress = StageProgress(trial, self._pace, self._clock)

    def event(self, event: Event) -> None:
        """The attempt reports an event."""
        self.stage = event.stage or self.stage
        if isinstance(event, StepEvent):
            self.step = event
        if self._progress is not None and self.trial is not None:
            self._progress.event(event, self._stages.get(self.trial.trial_id, StageSeconds()))

    def end(self, result: AttemptResult) -> None:
        """The current trial, or preflight, ended."""
        assert self.trial is not None
        seeds = self._preflight_seeds if self.preflight_number else 1
        if self.preflight_number is None:
            self._pending = [trial_id for trial_id in self._pending or () if trial_id != self.trial.trial_id]
        self.succeeded += result.recorded
        self.failed += seeds * (not result.recorded and result.attempt.outcome != "preflight_passed")
        self.trial, self.preflight_number, self._progress = None, None, None

    def elapsed_s(self) -> float:
        """Return the seconds since the current trial began, over all its attempts in this run."""
        return self._clock() - self._trial_started

    def trained_fraction(self) -> float:
        """Return how much of the current trial's training is done, from 0 to 1."""
        return self._progress.trained if self._progress is not None else 0.0

    def remaining_s(self) -> float | None:
        """Return the seconds that the rest takes: all stages of all trials and the race, at the pace of late.

        None where that is unknown.
        """
        pending = self._pending or []
        unknown = self._pending is None and not self._race_left_s
        if self.preflight_number or unknown or any(trial_id not in self._stages for trial_id in pending):
            return None
        left_s = sum(self._stages[trial_id].total_s() for trial_id in pending if not self._runs(trial_id))
        if self.trial is not None and self._progress is not None and self.trial.trial_id in self._stages:
            left_s += self._progress.left_s(self._stages[self.trial.trial_id])
        race_s = self.race.seconds or 0.0 if self.race is not None else 0.0
        return (left_s + race_s + self._race_left_s) * self._pace.factor()

    def _runs(self, trial_id: str) -> bool:
        return self.trial is not None and self.trial.trial_id == trial_id

    def doing(self) -> str:
        """Say in a few words what the current trial is doing."""
        return describe(self.stage, self.step)

    def _begin_trial(self, trial: Trial) -> None:
        self.trial, self.step, self.stage, self._progress = trial, None, "starting", None
        self._trial_started = self._clock()
