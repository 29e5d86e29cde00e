"""Lines with a time, for logs and pipes: what happened, and every half a minute where training stands."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.executors.base import AttemptResult, Event
    from harness.scheduling.plan import Plan
    from harness.store.job import Attempt
    from harness.suite.trial import Trial
from harness.formatting import metric_value, rough_duration
from harness.observers.state import RunState
from harness.observers.wording import forecast, opening_lines, outcome_text

_LINE_INTERVAL_S = 30.0


class PlainView:
    """Lines with a time: what happened, and every half a minute where training stands."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = RunState()
        self._said = 0.0
        self._stage = ""

    def begin(self, plan: Plan) -> None:
        """Say how much there is to do."""
        self._state.begin(plan)
        for line in opening_lines(plan):
            self._say(line)

    def rehearse(self, alike: Sequence[Trial], number: int, count: int) -> None:
        """Name what is rehearsed."""
        self._state.rehearse(alike, number, count)
        others = f" (and {len(alike) - 1} more seeds)" if len(alike) > 1 else ""
        self._say(f"rehearsal {number}/{count}: {alike[0].trial_id}{others}")

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Say when it will be over."""
        self._state.expect(trials, expected)
        self._say(forecast(trials, expected))

    def start(self, trial: Trial, log_path: Path) -> None:
        """Name the trial and its log."""
        state = self._state
        state.start(trial)
        self._stage = ""
        number = state.skipped + state.given_up + state.succeeded + state.failed + 1
        self._say(f"[{number}/{state.total}] {trial.trial_id} starts; log: {log_path}")

    def event(self, event: Event | None) -> None:
        """One line for a new stage, and for training one every half a minute."""
        self._state.event(event)
        if event is None or self._state.rehearsal:
            return
        now = time.monotonic()
        fresh = self._state.stage != self._stage
        if fresh or (event["event"] == "step" and now - self._said >= _LINE_INTERVAL_S):
            self._stage, self._said = self._state.stage, now
            left = self._state.remaining_s()
            self._say(
                f"    {self._state.doing()}" + (f", about {rough_duration(left)} left" if left is not None else "")
            )
        if event["event"] == "validation":
            self._say(
                f"    epoch {event['epoch']}: val map {metric_value(event['map'])}, map_50 {metric_value(event['map_50'])}"
            )
        if event["event"] == "resumed":
            self._say(f"    resumed {event['place']}")

    def again(self, trial: Trial, attempt: Attempt) -> None:
        """Say why it is tried again."""
        self._say(f"    {trial.trial_id} {outcome_text(attempt)}; it is tried again")

    def end(self, trial: Trial, ending: AttemptResult) -> None:
        """Say how it ended."""
        took = rough_duration(self._state.elapsed_s())
        rehearsal = "its rehearsal: " if self._state.rehearsal else ""
        self._state.end(ending)
        self._say(f"    {rehearsal}{trial.trial_id} {outcome_text(ending.attempt, took)}")

    def close(self) -> None:
        """Nothing to put away."""

    def _say(self, text: str) -> None:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        self._console.print(f"{stamp} {text}", markup=False, highlight=False, soft_wrap=True)
