"""Show a run in a few lines of a terminal that redraw themselves; trials that have ended scroll up above them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harness.formatting import rough_duration
from harness.observers.state import RunState
from harness.observers.wording import forecast, items_read_text, opening_lines, outcome_text, race_text, turn_text
from harness.store.events import ItemsReadEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.executors.base import AttemptResult
    from harness.scheduling.estimate import StageSeconds
    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import Event
    from harness.store.job import Attempt
    from harness.store.race import BlockResult, Entrant, Race
    from harness.suite.trial import Trial

_BAR = 30  # characters
_OTHER_LINES = 4  # of the terminal's height


class LiveView:
    """Draws the counts, the trials that run and an estimate, and prints a line above them for each trial that ended.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._state = RunState(clock)
        # Redrawn at each poll of the attempt, not by a thread of its own beside the measurement.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def begin(self, plan: Plan) -> None:
        """Start drawing."""
        self._state.begin(plan)
        self._live.start()
        for line in opening_lines(plan):
            self._live.console.print(line, markup=False, highlight=False)
        self._draw()

    def preflight(self, trials: Sequence[Trial], number: int, count: int) -> None:
        """Show the preflight as a trial that runs."""
        self._state.preflight(trials, number, count)
        self._draw()

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Print when the run will be over."""
        self._state.expect(trials, expected)
        text = forecast(trials, expected, self._state.race, self._state.slots)
        self._live.console.print(text, markup=False, highlight=False)
        self._draw()

    def start(self, trial: Trial, log_path: Path) -> None:  # noqa: ARG002 - a terminal shows the report's link instead
        """Show the trial as one that runs."""
        self._state.start(trial)
        self._draw()

    def event(self, event: Event) -> None:
        """Do nothing: `event_of` says whose it is."""

    def event_of(self, trial: Trial, event: Event) -> None:
        """Take an event in; it is drawn at the next poll."""
        self._state.event(trial, event)
        if isinstance(event, ItemsReadEvent):
            self._live.console.print(Text(items_read_text(event), "dim"))

    def poll(self) -> None:
        """Draw."""
        self._draw()

    def retry(self, trial: Trial, attempt: Attempt) -> None:
        """Print a line for the attempt that failed."""
        self._live.console.print(Text(f"↻ {trial.trial_id}\n  {outcome_text(attempt)}; it is tried again", "yellow"))
        self._draw()

    def end(self, trial: Trial, result: AttemptResult) -> None:
        """Print a line for the trial that ended; a preflight that went well gets none."""
        took = rough_duration(self._state.end(trial, result).elapsed_s())
        if result.attempt.outcome != "preflight_passed":
            good = result.recorded
            line = Text.assemble(("✓ " if good else "✗ ", "green" if good else "red"), f"{trial.trial_id}  {took}")
            if not good:
                line.append(f"\n  {outcome_text(result.attempt)}", style="red")
            self._live.console.print(line)
        self._draw()

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
        self._live.start()  # a race alone begins here
        self._state.begin_race(n_turns, expected_s)
        self._live.console.print(race_text(race, folder, n_turns, expected_s), markup=False, highlight=False)

    def turn(self, race: Race, block: int, entrant: Entrant) -> None:
        """Show whose turn it is."""
        self._state.turn = f"block {block} of {race.blocks}: {entrant.label}"
        self._draw()

    def turn_end(self, race: Race, block: int, entrant: Entrant, result: BlockResult | None, reason: str) -> None:
        """Print a line for the turn that ended."""
        self._state.turn = None
        self._state.end_turn(1 if result is not None else 1 + race.blocks - block)
        style = "red" if result is None else ""
        self._live.console.print(Text(f"  {turn_text(race, block, entrant, result, reason)}", style=style))
        self._draw()

    def close(self) -> None:
        """Stop drawing and give the terminal back."""
        self._live.stop()

    def _draw(self) -> None:
        state = self._state
        done, failed = state.skipped + state.succeeded, state.failed + state.given_up
        counts = Text(f"{done} of {state.total} trials done, {state.total - done - failed} left")
        if failed:
            counts.append(f", {failed} failed", style="red")
        lines = [counts] if state.total else []
        if state.turn is not None:
            lines.append(Text(f"race of speed, {state.turn}", style="dim"))
        remaining_s = state.remaining_s()
        if remaining_s is not None and lines:
            lines[0].append(f"  ·  about {rough_duration(remaining_s)} left", style="dim")
        shown = tuple(state.running.values())[: max(1, (self._console.height - _OTHER_LINES) // 2)]
        for running in shown:
            filled = round(_BAR * running.trained_fraction())
            lines.append(Text.assemble(("━" * filled, "cyan"), ("─" * (_BAR - filled), "dim"), f" {running.doing()}"))
            lines.append(Text(f"{running.trial.trial_id}  {rough_duration(running.elapsed_s())}", style="dim"))
        if len(shown) < len(state.running):
            lines.append(Text(f"and {len(state.running) - len(shown)} more", style="dim"))
        self._live.update(Group(*lines), refresh=True)
