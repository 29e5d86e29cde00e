"""What a person sees while a suite runs: a live view on a terminal, plain timestamped lines elsewhere.

Owns showing; a view that fails to draw must not end a night, so it only formats what it is told.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

    from harness.execute.supervise import Ending, Event
    from harness.flow import Plan
    from harness.suite.spec import Trial

_LINE_INTERVAL_S = 30.0
_MINUTE = 60
_HOUR = 3600


class _Counting:
    """Trials done and left, and how long the rest may take."""

    def __init__(self) -> None:
        self.total = 0
        self.skipped = 0
        self.succeeded = 0
        self.failed = 0
        self.trial: Trial | None = None
        self.step: dict[str, Any] = {}
        self.stage = ""
        self._left: list[Trial] = []
        self._trial_started = 0.0
        self._spent_s = 0.0
        self._ended = 0

    def begin(self, plan: Plan) -> None:
        self._left = list(plan.left)
        self.total = len(plan.selected)
        self.skipped = self.total - len(self._left)

    def start(self, trial: Trial) -> None:
        self.trial, self.step, self.stage = trial, {}, "starting"
        self._trial_started = time.monotonic()

    def event(self, event: Event | None) -> None:
        if event is not None:
            self.stage = event.get("stage", self.stage)
            if event["event"] == "step":
                self.step = dict(event)

    def end(self, ending: Ending) -> None:
        self._spent_s += time.monotonic() - self._trial_started
        self._ended += 1
        self._left = self._left[1:]
        self.succeeded += ending.recorded
        self.failed += not ending.recorded
        self.trial = None

    def elapsed_s(self) -> float:
        """Of the current trial."""
        return time.monotonic() - self._trial_started

    def share(self) -> float:
        """How much of the current trial's training is done, 0–1."""
        if not self.step:
            return 0.0
        return float((self.step["epoch"] - 1 + self.step["step"] / self.step["steps"]) / self.step["epochs"])

    def remaining_s(self) -> float | None:
        """A guess from the trials that ended and the current one's training so far; None before there is a ground."""
        share = self.share()
        current = self.elapsed_s() / share if share > 0.1 else None  # noqa: PLR2004 - a tenth tells enough
        lengths = [length for length in (self._spent_s / self._ended if self._ended else None, current) if length]
        if not lengths:
            return None
        if self.trial and self.stage in {"evaluate", "measure"} and len(self._left) == 1:
            return None  # how long these take has nothing to do with training
        typical = sum(lengths) / len(lengths)
        running = max(0.0, (current or typical) - self.elapsed_s()) if self.trial else 0.0
        return running + typical * max(0, len(self._left) - (self.trial is not None))

    def doing(self) -> str:
        """The current trial in a few words."""
        if self.stage == "train" and self.step:
            s = self.step
            return (
                f"epoch {s['epoch']}/{s['epochs']} step {s['step']}/{s['steps']} loss {s['loss']:.3f} "
                f"{s['images_per_s']:.1f} img/s"
            )
        return {
            "data": "opening the data",
            "model": "building the model",
            "evaluate": "evaluating",
            "measure": "measuring speed and memory",
            "train": "training",
        }.get(self.stage, self.stage)


class TolerantConsole(Console):
    """A console whose reader may go away: `harness run | head` must not end a night."""

    def on_broken_pipe(self) -> None:
        """Say nothing more, where rich would exit."""
        self.quiet = True


class PlainView:
    """Lines with a time: what happened, and every half a minute where training stands."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = _Counting()
        self._said = 0.0
        self._stage = ""

    def begin(self, plan: Plan) -> None:
        """Say how much there is to do."""
        self._state.begin(plan)
        if self._state.skipped:
            self._say(f"{self._state.skipped} of {self._state.total} trials are recorded already and are skipped")

    def start(self, trial: Trial, log_path: Path) -> None:
        """Name the trial and its log."""
        self._state.start(trial)
        self._stage = ""
        number = self._state.skipped + self._state.succeeded + self._state.failed + 1
        self._say(f"[{number}/{self._state.total}] {trial.trial_id} starts; log: {log_path}")

    def event(self, event: Event | None) -> None:
        """One line for a new stage, and for training one every half a minute."""
        self._state.event(event)
        if event is None:
            return
        now = time.monotonic()
        fresh = self._state.stage != self._stage
        if fresh or (event["event"] == "step" and now - self._said >= _LINE_INTERVAL_S):
            self._stage, self._said = self._state.stage, now
            left = self._state.remaining_s()
            self._say(f"    {self._state.doing()}" + (f", about {_duration(left)} left" if left is not None else ""))
        if event["event"] == "validation":
            self._say(f"    epoch {event['epoch']}: val map {_number(event['map'])}, map_50 {_number(event['map_50'])}")

    def end(self, trial: Trial, ending: Ending) -> None:
        """Say how it ended."""
        took = _duration(self._state.elapsed_s())
        self._state.end(ending)
        reason = f": {ending.reason}" if ending.reason else ""
        self._say(f"    {trial.trial_id} {ending.outcome.replace('_', ' ')} after {took}{reason}")

    def close(self) -> None:
        """Nothing to put away."""

    def _say(self, text: str) -> None:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        self._console.print(f"{stamp} {text}", markup=False, highlight=False, soft_wrap=True)


class LiveView:
    """A few lines that redraw: the count, the current trial, an estimate. Finished trials scroll up above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = _Counting()
        # Redrawn at each poll of the child, not by a thread of its own beside the measurement.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def begin(self, plan: Plan) -> None:
        """Start drawing."""
        self._state.begin(plan)
        self._live.start()
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

    def end(self, trial: Trial, ending: Ending) -> None:
        """Leave one line for the trial above the live part."""
        took = _duration(self._state.elapsed_s())
        self._state.end(ending)
        good = ending.recorded
        line = Text.assemble(("✓ " if good else "✗ ", "green" if good else "red"), f"{trial.trial_id}  {took}")
        if ending.reason:
            line.append(f"\n  {ending.outcome.replace('_', ' ')}: {ending.reason}", style="red")
        self._live.console.print(line)
        self._draw()

    def close(self) -> None:
        """Stop drawing and give the terminal back."""
        self._live.stop()

    def _draw(self) -> None:
        state = self._state
        done = state.skipped + state.succeeded
        counts = Text(f"{done} of {state.total} trials done, {state.total - done - state.failed} left")
        if state.failed:
            counts.append(f", {state.failed} failed", style="red")
        left = state.remaining_s()
        if left is not None:
            counts.append(f"  ·  about {_duration(left)} left", style="dim")
        lines = [counts]
        if state.trial is not None:
            filled = round(30 * state.share())
            lines.append(Text.assemble(("━" * filled, "cyan"), ("─" * (30 - filled), "dim"), f" {state.doing()}"))
            lines.append(Text(f"{state.trial.trial_id}  {_duration(state.elapsed_s())}", style="dim"))
        self._live.update(Group(*lines), refresh=True)


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:02.0f} min"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
