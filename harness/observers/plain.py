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
        self._told: dict[str, tuple[str, float]] = {}  # by trial: the stage of the last line, and when it was printed
        self._n_started = 0

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
        self._print(forecast(trials, expected, self._state.race, self._state.slots))

    def start(self, trial: Trial, log_path: Path) -> None:
        """Print the trial's id and the path of its log."""
        state = self._state
        again = trial.trial_id in state.running
        state.start(trial)
        self._told[trial.trial_id] = ("", 0.0)
        self._n_started += not again
        number = min(state.total, state.skipped + state.given_up + self._n_started)
        self._print(f"[{number}/{state.total}] {trial.trial_id} starts; log: {log_path}")

    def event(self, event: Event) -> None:
        """Do nothing: `event_of` says whose it is."""

    def event_of(self, trial: Trial, event: Event) -> None:
        """Print a line for a new stage, and during training one every half a minute."""
        state = self._state
        state.event(trial, event)
        who = f"{trial.trial_id}: " if state.slots > 1 else ""
        if isinstance(event, ItemsReadEvent):
            self._print(f"    {who}{items_read_text(event)}")
        running = state.running.get(trial.trial_id)
        if running is None or running.preflight:  # in a race every turn has a line of its own
            return
        now = self._clock()
        stage, printed_at = self._told.get(trial.trial_id, ("", 0.0))
        due = isinstance(event, StepEvent) and now - printed_at >= _LINE_INTERVAL_S
        if due or running.stage != stage:
            self._told[trial.trial_id] = running.stage, now
            remaining_s = state.remaining_s()
            remaining = f", about {rough_duration(remaining_s)} left" if remaining_s is not None else ""
            self._print(f"    {who}{running.doing()}{remaining}")
        if isinstance(event, ValidationEvent):
            accuracy = f"val map {metric_value(event.map)}, map_50 {metric_value(event.map_50)}"
            loss = f", val loss {number(event.loss, 3)}" if event.loss is not None else ""
            self._print(f"    {who}epoch {event.epoch}: {accuracy}{loss}")
        if isinstance(event, ResumedEvent):
            self._print(f"    {who}resumed {event.place}")
        if isinstance(event, PausedEvent):
            self._print(f"    {who}stood still for {rough_duration(event.paused_s)}, which counts for no limit")

    def retry(self, trial: Trial, attempt: Attempt) -> None:
        """Print why the trial is tried again."""
        self._print(f"    {trial.trial_id} {outcome_text(attempt)}; it is tried again")

    def end(self, trial: Trial, result: AttemptResult) -> None:
        """Print how the trial ended."""
        running = self._state.end(trial, result)
        took = rough_duration(running.elapsed_s())
        failed_preflight = running.preflight and result.attempt.outcome != "preflight_passed"
        preflight = "preflight of " if failed_preflight else ""
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
