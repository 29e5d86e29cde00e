"""How far a run is, from what an observer hears of it: trials done and pending, the current step, the time to come."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.observers.progress import Pace, StageProgress
from harness.observers.wording import describe
from harness.scheduling.estimate import StageSeconds, finish_s
from harness.store.events import StepEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.executors.base import AttemptResult
    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import Event
    from harness.suite.trial import Trial


class RunningTrial:
    """A trial, or a preflight, that runs: where it is.

    Attributes:
        preflight: which preflight it is and of how many; None: the trial itself.
        step: its last training step.
    """

    def __init__(self, trial: Trial, clock: Callable[[], float], preflight: tuple[int, int] | None, seeds: int) -> None:
        self.trial, self.preflight, self.seeds = trial, preflight, seeds
        self.step: StepEvent | None = None
        self.stage = "starting"
        self.progress: StageProgress | None = None  # of the attempt
        self._clock, self._began = clock, clock()

    def elapsed_s(self) -> float:
        """Return the seconds since it began, over all its attempts in this run."""
        return self._clock() - self._began

    def trained_fraction(self) -> float:
        """Return how much of its training is done, from 0 to 1."""
        return self.progress.trained if self.progress is not None else 0.0

    def doing(self) -> str:
        """Say in a few words what it is doing."""
        if self.preflight is not None:
            return f"preflight {self.preflight[0]} of {self.preflight[1]}"
        return describe(self.stage, self.step)


class RunState:
    """Trials done, running and pending, and how long the rest may take.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = 0
        self.slots = 1
        self.skipped = 0
        self.given_up = 0
        self.succeeded = 0
        self.failed = 0
        self.running: dict[str, RunningTrial] = {}  # by trial id
        self.race: RaceForecast | None = None  # what follows the trials
        self.turn: str | None = None  # in a race, while there is one
        self._pace = Pace()
        self._stages: dict[str, StageSeconds] = {}
        self._pending: list[str] | None = None  # ids; unknown before `expect`
        self._race_left_s = 0.0  # of the race that is run
        self._turn_s = 0.0

    def begin(self, plan: Plan) -> None:
        """Count what there is to do."""
        self.total, self.slots = len(plan.selected), len(plan.slots)
        self.skipped = sum(trial.trial_id in plan.records for trial in plan.selected)
        self.given_up = len(plan.given_up)

    def preflight(self, trials: Sequence[Trial], number: int, count: int) -> None:
        """The preflight of these seeds starts."""
        self.running[trials[0].trial_id] = RunningTrial(trials[0], self._clock, (number, count), len(trials))

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
        running = self.running.setdefault(trial.trial_id, RunningTrial(trial, self._clock, None, 1))
        running.step, running.stage = None, "starting"  # it may be another attempt of the same trial
        running.progress = StageProgress(trial, self._pace, self._clock)

    def event(self, trial: Trial, event: Event) -> None:
        """The trial's attempt reports an event."""
        running = self.running.get(trial.trial_id)
        if running is None:  # a turn in a race
            return
        running.stage = event.stage or running.stage
        if isinstance(event, StepEvent):
            running.step = event
        if running.progress is not None:
            running.progress.event(event, self._stages.get(trial.trial_id, StageSeconds()))

    def end(self, trial: Trial, result: AttemptResult) -> RunningTrial:
        """A trial, or its preflight, ended; return where it was."""
        running = self.running.pop(trial.trial_id)
        if running.preflight is None:
            self._pending = [trial_id for trial_id in self._pending or () if trial_id != trial.trial_id]
        self.succeeded += result.recorded
        self.failed += running.seeds * (not result.recorded and result.attempt.outcome != "preflight_passed")
        return running

    def remaining_s(self) -> float | None:
        """Return the seconds that the rest takes: all stages of all trials and the race, at the pace of late.

        None where that is unknown.
        """
        pending = self._pending or []
        unknown = self._pending is None and not self._race_left_s
        preflights = any(running.preflight is not None for running in self.running.values())
        if preflights or unknown or any(trial_id not in self._stages for trial_id in pending):
            return None
        busy = [
            running.progress.left_s(self._stages[trial_id])
            for trial_id, running in self.running.items()
            if running.progress is not None and trial_id in self._stages
        ]
        waiting = [self._stages[trial_id].total_s() for trial_id in pending if trial_id not in self.running]
        left_s = finish_s(waiting, max(self.slots, len(busy)), busy)
        race_s = self.race.seconds or 0.0 if self.race is not None else 0.0
        return (left_s + race_s + self._race_left_s) * self._pace.factor()
