"""A few lines on a terminal that redraw themselves; finished trials scroll up above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.executors.base import AttemptResult, Event
    from harness.scheduling.plan import Plan
    from harness.store.job import Attempt
    from harness.suite.trial import Trial
from harness.formatting import rough_duration
from harness.observers.state import RunState
from harness.observers.wording import forecast, opening_lines, outcome_text


class LiveView:
    """A few lines that redraw: the count, the current trial, an estimate. Finished trials scroll up above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = RunState()
        # Redrawn at each poll of the child, not by a thread of its own beside the measurement.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def begin(self, plan: Plan) -> None:
        """Start drawing."""
        self._state.begin(plan)
        self._live.start()
        for line in opening_lines(plan):
            self._live.console.print(line, markup=False, highlight=False)
        self._draw()

    def rehearse(self, alike: Sequence[Trial], number: int, count: int) -> None:
        """Show what is rehearsed."""
        self._state.rehearse(alike, number, count)
        self._draw()

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Leave a line that says when it will be over."""
        self._state.expect(trials, expected)
        self._live.console.print(forecast(trials, expected), markup=False, highlight=False)
        self._draw()

    def start(self, trial: Trial, log_path: Path) -> None:  # noqa: ARG002 - a terminal shows the report's link instead
        """Show a new trial."""
        self._state.start(trial)
        self._draw()

    def event(self, event: Event | None) -> None:
        """Take a progress event in; draw when the poll is over."""
        self._state.event(event)
        if event is None:
            self._draw()

    def again(self, trial: Trial, attempt: Attempt) -> None:
        """Leave a line for the attempt that failed."""
        self._live.console.print(Text(f"↻ {trial.trial_id}\n  {outcome_text(attempt)}; it is tried again", "yellow"))
        self._draw()

    def end(self, trial: Trial, ending: AttemptResult) -> None:
        """Leave one line for the trial above the live part."""
        took = rough_duration(self._state.elapsed_s())
        rehearsed = ending.attempt.outcome == "preflight_passed"
        self._state.end(ending)
        if not rehearsed:
            good = ending.recorded
            line = Text.assemble(("✓ " if good else "✗ ", "green" if good else "red"), f"{trial.trial_id}  {took}")
            if not good:
                line.append(f"\n  {outcome_text(ending.attempt)}", style="red")
            self._live.console.print(line)
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
        left = state.remaining_s()
        if left is not None:
            counts.append(f"  ·  about {rough_duration(left)} left", style="dim")
        lines = [counts]
        if state.trial is not None:
            filled = round(30 * state.share())
            doing = f"rehearsal {state.rehearsal[0]} of {state.rehearsal[1]}" if state.rehearsal else state.doing()
            lines.append(Text.assemble(("━" * filled, "cyan"), ("─" * (30 - filled), "dim"), f" {doing}"))
            lines.append(Text(f"{state.trial.trial_id}  {rough_duration(state.elapsed_s())}", style="dim"))
        self._live.update(Group(*lines), refresh=True)
