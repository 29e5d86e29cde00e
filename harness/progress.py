"""What a person sees while a suite runs: a live view on a terminal, plain timestamped lines elsewhere.

Owns showing; a view that fails to draw must not end a night, so it only formats what it is told.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.execute.supervise import Ending, Event
    from harness.night import Plan
    from harness.store.record import Attempt
    from harness.suite.spec import Trial

_LINE_INTERVAL_S = 30.0
_MINUTE = 60
_HOUR = 3600


class _Counting:
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

    def end(self, ending: Ending) -> None:
        assert self.trial is not None
        seeds = self._rehearsed if self.rehearsal else 1
        if self.rehearsal is None:
            self._spent_s += self.elapsed_s()
            self._ended.append(self.trial.trial_id)
            self._left = [trial_id for trial_id in self._left or () if trial_id != self.trial.trial_id]
        self.succeeded += ending.recorded
        self.failed += seeds * (not ending.recorded and ending.attempt.outcome != "rehearsed")
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


class TolerantConsole(Console):
    """A console whose reader may go away, or whose disk may be full: neither must end a night."""

    def __init__(self) -> None:
        super().__init__(file=cast("TextIO", _Tolerant(sys.stdout)))


class _Tolerant:
    """A text stream that, once it cannot be written, takes everything and says nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        if not self._broken:
            try:
                self._stream.write(text)
            except OSError:
                self._broken = True
        return len(text)

    def flush(self) -> None:
        if not self._broken:
            try:
                self._stream.flush()
            except OSError:
                self._broken = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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
        for line in _opening(plan):
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
            self._say(f"    {self._state.doing()}" + (f", about {duration(left)} left" if left is not None else ""))
        if event["event"] == "validation":
            self._say(f"    epoch {event['epoch']}: val map {number(event['map'])}, map_50 {number(event['map_50'])}")
        if event["event"] == "resumed":
            self._say(f"    resumed {event['place']}")

    def again(self, trial: Trial, attempt: Attempt) -> None:
        """Say why it is tried again."""
        self._say(f"    {trial.trial_id} {_ended(attempt)}; it is tried again")

    def end(self, trial: Trial, ending: Ending) -> None:
        """Say how it ended."""
        took = duration(self._state.elapsed_s())
        rehearsal = "its rehearsal: " if self._state.rehearsal else ""
        self._state.end(ending)
        self._say(f"    {rehearsal}{trial.trial_id} {_ended(ending.attempt, took)}")

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
        for line in _opening(plan):
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
        self._live.console.print(Text(f"↻ {trial.trial_id}\n  {_ended(attempt)}; it is tried again", "yellow"))
        self._draw()

    def end(self, trial: Trial, ending: Ending) -> None:
        """Leave one line for the trial above the live part."""
        took = duration(self._state.elapsed_s())
        rehearsed = ending.attempt.outcome == "rehearsed"
        self._state.end(ending)
        if not rehearsed:
            good = ending.recorded
            line = Text.assemble(("✓ " if good else "✗ ", "green" if good else "red"), f"{trial.trial_id}  {took}")
            if not good:
                line.append(f"\n  {_ended(ending.attempt)}", style="red")
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
            counts.append(f"  ·  about {duration(left)} left", style="dim")
        lines = [counts]
        if state.trial is not None:
            filled = round(30 * state.share())
            doing = f"rehearsal {state.rehearsal[0]} of {state.rehearsal[1]}" if state.rehearsal else state.doing()
            lines.append(Text.assemble(("━" * filled, "cyan"), ("─" * (30 - filled), "dim"), f" {doing}"))
            lines.append(Text(f"{state.trial.trial_id}  {duration(state.elapsed_s())}", style="dim"))
        self._live.update(Group(*lines), refresh=True)


def describe(stage: str, step: Mapping[str, Any]) -> str:
    """What a trial does, from its stage and its last training step."""
    if stage == "train" and step:
        return (
            f"epoch {step['epoch']}/{step['epochs']} step {step['step']}/{step['steps']} loss {step['loss']:.3f} "
            f"{step['images_per_s']:.1f} img/s"
        )
    return {
        "data": "opening the data",
        "model": "building the model",
        "evaluate": "evaluating",
        "measure": "measuring speed and memory",
        "variant": "deploying the weights in another way",
        "train": "training",
    }.get(stage, stage)


def forecast(trials: Sequence[Trial], expected: Mapping[str, float]) -> str:
    """How long these trials take and when they end, as far as that is known."""
    known = [expected[trial.trial_id] for trial in trials if trial.trial_id in expected]
    count = f"{len(trials)} trial{'s' if len(trials) != 1 else ''} left"
    if not known:
        return f"{count}; nothing tells yet how long they take"
    ends = (datetime.now().astimezone() + timedelta(seconds=sum(known))).strftime("%a %H:%M")
    unknown = f", and {len(trials) - len(known)} that nothing is known of" if len(known) < len(trials) else ""
    return f"{count}: about {duration(sum(known))}, until {ends}{unknown}"


def _opening(plan: Plan) -> list[str]:
    """What a person should know before the first trial."""
    lines = []
    done = sum(trial.trial_id in plan.records for trial in plan.selected)
    if done:
        lines.append(f"{done} of {len(plan.selected)} trials are recorded already and are skipped")
    for trial in plan.given_up:
        attempt = plan.over[trial.trial_id]
        lines.append(f"{trial.trial_id} is not tried again: it {_ended(attempt)}")
    if plan.given_up:
        lines.append("--retry-failed tries failed trials again")
    return lines


def _ended(attempt: Attempt, took: str = "") -> str:
    after = f" after {took}" if took else ""
    reason = f": {attempt.reason}" if attempt.reason else ""
    return f"{attempt.outcome.replace('_', ' ')}{after}{reason}"


def duration(seconds: float) -> str:
    """As a person says it."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:02.0f} min"


def number(value: float | None) -> str:
    """A metric, or a dash."""
    return "–" if value is None else f"{value:.3f}"
