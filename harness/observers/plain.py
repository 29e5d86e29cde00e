"""Show a run as lines with a time, for logs and pipes: what happened, and every half a minute how far training is."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from harness.formatting import counted, metric_value, number, rough_duration
from harness.observers.state import RunState
from harness.observers.wording import forecast, items_read_text, opening_lines, outcome_text, race_text, turn_text
from harness.store.events import ItemsReadEvent, PausedEvent, ResumedEvent, StepEvent, ValidationEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.executors.base import AttemptResult
    from harness.scheduling.estimate import StageSeconds
    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import Event
    from harness.store.job import Attempt
    from harness.store.race import BlockResult, Entrant, Race
    from harness.suite.trial import Trial

_LINE_INTERVAL_S = 30.0


class PlainView:
    """Prints a line for everything that happens; during training one every half a minute.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._state = RunState(clock)
        self._printed_at = 0.0
        self._stage = ""

    def begin(self, plan: Plan) -> None:
        """Print what is skipped."""
        self._state.begin(plan)
        for line in opening_lines(plan):
            self._print(line)

    def preflight(self, trials: Sequence[Trial], number: int, count: int) -> None:
        """Print whose preflight starts."""
        self._state.preflight(trials, number, count)
        others = f" (and {counted(len(trials) - 1, 'other seed')})" if len(trials) > 1 else ""
        self._print(f"preflight {number}/{count}: {trials[0].trial_id}{others}")

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Print when the run will be over."""
        self._state.expect(trials, expected)
        self._print(forecast(trials, expected, self._state.race))

    def start(self, trial: Trial, log_path: Path) -> None:
        """Print the trial's id and the path of its log."""
        state = self._state
        state.start(trial)
        self._stage = ""
        number = state.skipped + state.given_up + state.succeeded + state.failed + 1
        self._print(f"[{number}/{state.total}] {trial.trial_id} starts; log: {log_path}")

    def event(self, event: Event) -> None:
        """Print a line for a new stage, and during training one every half a minute."""
        state = self._state
        state.event(event)
        if isinstance(event, ItemsReadEvent):
            self._print(f"    {items_read_text(event)}")
        if state.preflight_number or state.trial is None:  # in a race every turn has a line of its own
            return
        now = self._clock()
        due = isinstance(event, StepEvent) and now - self._printed_at >= _LINE_INTERVAL_S
        if due or state.stage != self._stage:
            self._stage, self._printed_at = state.stage, now
            remaining_s = state.remaining_s()
            remaining = f", about {rough_duration(remaining_s)} left" if remaining_s is not None else ""
            self._print(f"    {state.doing()}{remaining}")
        if isinstance(event, ValidationEvent):
            accuracy = f"val map {metric_value(event.map)}, map_50 {metric_value(event.map_50)}"
            loss = f", val loss {number(event.loss, 3)}" if event.loss is not None else ""
            self._print(f"    epoch {event.epoch}: {accuracy}{loss}")
        if isinstance(event, ResumedEvent):
            self._print(f"    resumed {event.place}")
        if isinstance(event, PausedEvent):
            self._print(f"    stood still for {rough_duration(event.paused_s)}, which counts for no limit")

    def retry(self, trial: Trial, attempt: Attempt) -> None:
        """Print why the trial is tried again."""
        self._print(f"    {trial.trial_id} {outcome_text(attempt)}; it is tried again")

    def end(self, trial: Trial, result: AttemptResult) -> None:
        """Print how the trial ended."""
        took = rough_duration(self._state.elapsed_s())
        failed_preflight = self._state.preflight_number and result.attempt.outcome != "preflight_passed"
        preflight = "preflight of " if failed_preflight else ""
        self._state.end(result)
        self._print(f"    {preflight}{trial.trial_id} {outcome_text(result.attempt, took)}")

    def expect_stages(self, stages: Mapping[str, StageSeconds]) -> None:
        """Remember how long the stages of each trial take."""
        self._state.expect_stages(stages)

    def replan(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Remember what follows, now that a search knows more."""
        self._state.expect(trials, expected)

    def expect_race(self, forecast: RaceForecast) -> None:
        """Remember it, for the line on when the run will be over."""
        self._state.race = forecast

    def race(self, race: Race, folder: Path, n_turns: int, expected_s: float) -> None:
        """Print who races, and for how long."""
        self._print(race_text(race, folder, n_turns, expected_s))

    def turn_end(self, race: Race, block: int, entrant: Entrant, result: BlockResult | None, reason: str) -> None:
        """Print what the turn measured."""
        self._print(f"    {turn_text(race, block, entrant, result, reason)}")

    def poll(self) -> None:
        """Do nothing: lines need no redrawing."""

    def close(self) -> None:
        """Do nothing: lines hold nothing open."""

    def _print(self, text: str) -> None:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        self._console.print(f"{stamp} {text}", markup=False, highlight=False, soft_wrap=True)
