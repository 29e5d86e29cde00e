"""What a run has come to so far, counted from its events: trials done and left, the current step, the time that remains."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.executors.base import AttemptResult, Event
    from harness.scheduling.plan import Plan
    from harness.suite.trial import Trial
from harness.observers.wording import describe


class RunState:
    """Trials done and left, and how long the rest may take."""

    def __init__(self) -> None:
        self.total = 0
        self.skipped = 0
        self.given_up = 0
        self.succeeded = 0
        self.failed = 0
        self.rehearsal: tuple[int, int] | None = None
        self.trial: Trial | None = None
        self.step: dict[str, Any] = {}
        self.stage = ""
        self._rehearsed = 0  # seeds that the current rehearsal stands for
        self._share_before: float | None = 0.0
        self._attempt_started = 0.0
        self._expected: dict[str, float] = {}
        self._left: list[str] | None = None  # nothing is known of what comes before `expect`
        self._trial_started = 0.0
        self._spent_s = 0.0
        self._ended: list[str] = []

    def begin(self, plan: Plan) -> None:
        self.total = len(plan.selected)
        self.skipped = sum(trial.trial_id in plan.records for trial in plan.selected)
        self.given_up = len(plan.given_up)

    def rehearse(self, alike: Sequence[Trial], number: int, count: int) -> None:
        self._begin_trial(alike[0])
        self.rehearsal, self._rehearsed = (number, count), len(alike)

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        self._expected = dict(expected)
        self._left = [trial.trial_id for trial in trials]

    def start(self, trial: Trial) -> None:
        if self.trial is None:  # else another attempt of the same
            self._begin_trial(trial)
        self.rehearsal = None
        self.step, self.stage, self._share_before = {}, "starting", 0.0
        self._attempt_started = time.monotonic()

    def event(self, event: Event | None) -> None:
        if event is not None:
            self.stage = str(event.get("stage", self.stage))
            if event["event"] == "step":
                self.step = dict(event)
                if self._share_before is None:
                    self._share_before = self.share()
            if event["event"] == "resumed":
                self._share_before = None  # the next step tells what earlier attempts have trained

    def end(self, ending: AttemptResult) -> None:
        assert self.trial is not None
        seeds = self._rehearsed if self.rehearsal else 1
        if self.rehearsal is None:
            self._spent_s += self.elapsed_s()
            self._ended.append(self.trial.trial_id)
            self._left = [trial_id for trial_id in self._left or () if trial_id != self.trial.trial_id]
        self.succeeded += ending.recorded
        self.failed += seeds * (not ending.recorded and ending.attempt.outcome != "preflight_passed")
        self.trial, self.rehearsal = None, None

    def elapsed_s(self) -> float:
        """Of the current trial, all its attempts in this run."""
        return time.monotonic() - self._trial_started

    def share(self) -> float:
        """How much of the current trial's training is done, 0–1."""
        if not self.step:
            return 0.0
        return float((self.step["epoch"] - 1 + self.step["step"] / self.step["steps"]) / self.step["epochs"])

    def remaining_s(self) -> float | None:
        """What the rest takes: as expected, scaled by how the trials so far kept to it; None where that is unknown."""
        if self.rehearsal or self._left is None or any(trial_id not in self._expected for trial_id in self._left):
            return None
        promised = sum(self._expected.get(trial_id, 0.0) for trial_id in self._ended)
        scale = self._spent_s / promised if promised else 1.0
        waiting = sum(self._expected[i] for i in self._left if self.trial is None or i != self.trial.trial_id) * scale
        if self.trial is None:
            return waiting
        trained = self.share() - (self._share_before or 0.0)
        if trained > 0.1:  # noqa: PLR2004 - a tenth tells enough
            return waiting + (time.monotonic() - self._attempt_started) * (1 - self.share()) / trained
        return waiting + max(0.0, self._expected.get(self.trial.trial_id, 0.0) * scale - self.elapsed_s())

    def _begin_trial(self, trial: Trial) -> None:
        self.trial, self.step, self.stage = trial, {}, "starting"
        self._trial_started = time.monotonic()

    def doing(self) -> str:
        """The current trial in a few words."""
        return describe(self.stage, self.step)
