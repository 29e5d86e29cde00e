"""What a person sees: plain lines with times, or a live view; counts, the current step, an estimate."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from harness.executors.base import AttemptResult
from harness.observers import live, plain
from harness.observers.console import SafeConsole
from harness.scheduling.observer import Observers
from harness.scheduling.race_forecast import RaceForecast
from harness.store.events import StageEvent, StepEvent, ValidationEvent
from tests.clock import SteppedClock
from tests.store.make import make_attempt, make_trial
from tests.store.make_race import make_race, make_result


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def _play(view: Any, clock: SteppedClock, reason: str = "no progress") -> None:
    trials = tuple(make_trial(seed=seed) for seed in range(4))
    plan = SimpleNamespace(selected=trials, records={trials[0].trial_id: None}, given_up=(), failed={}, slots=(None,))
    view.begin(plan)
    view.preflight(trials[1:2], 1, 1)
    view.poll()
    view.end(trials[1], AttemptResult(attempt=make_attempt("preflight_passed", None), recorded=False))
    view.expect(trials[1:], {trial.trial_id: 200.0 for trial in trials})
    view.start(trials[1], Path("log.txt"))
    view.event_of(trials[1], StageEvent(stage="train"))
    for step in (1, 2):
        clock.sleep(50)
        view.event_of(trials[1], StepEvent(epoch=1, epochs=2, step=step, steps=2, loss=0.5, images_per_s=3.0))
        view.poll()
    view.event_of(trials[1], ValidationEvent(epoch=1, map=0.25, map_50=None))
    clock.sleep(100)
    view.end(trials[1], AttemptResult(attempt=make_attempt("succeeded", None), recorded=True))
    view.start(trials[2], Path("log.txt"))
    view.retry(trials[2], make_attempt("hung", reason))
    view.start(trials[2], Path("log.txt"))
    view.end(trials[2], AttemptResult(attempt=make_attempt("out_of_memory", "lower [batch_size]"), recorded=False))
    view.close()


def test_a_preflight_is_named_once(clock: SteppedClock) -> None:
    """Whether it passed or failed."""
    stream, trial = io.StringIO(), make_trial()
    view = plain.PlainView(Console(file=stream, width=200), clock.now)
    for attempt in (make_attempt("preflight_passed", None), make_attempt("failed", "no such file")):
        view.preflight((trial,), 1, 1)
        view.end(trial, AttemptResult(attempt=attempt, recorded=False))
    ends = [line.partition("     ")[2] for line in stream.getvalue().splitlines() if "     " in line]
    assert ends == [
        f"{trial.trial_id} preflight passed after 0 s",
        f"preflight of {trial.trial_id} failed after 0 s: no such file",
    ]


def test_plain_lines_tell_the_story(clock: SteppedClock) -> None:
    """Each line has a time; skipped, started, training with an estimate, validation, ended with the reason."""
    stream = io.StringIO()
    _play(plain.PlainView(Console(file=stream, width=80), clock.now), clock)
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    text = stream.getvalue()
    for said in (
        "1 of 4 trials are recorded already and are skipped",
        "[2/4] shapes-retinanet_resnet50_fpn",
        "epoch 1/2 step 2/2 loss 0.500 3.0 img/s, about 8 min left",
        "epoch 1: val map 0.250, map_50 –",
        "succeeded after 3 min",
        "hung: no progress; it is tried again",
        "out of memory after 0 s: lower [batch_size]",
    ):
        assert said in text, said


def test_the_live_view_counts_and_estimates(clock: SteppedClock) -> None:
    """On a terminal: done, left, failed, the current step; a finished trial stays as one line."""
    stream = io.StringIO()
    _play(live.LiveView(Console(file=stream, width=120, force_terminal=True, color_system=None), clock.now), clock)
    text = stream.getvalue()
    for said in (
        "1 of 4 trials done, 3 left",
        "epoch 1/2 step 2/2 loss 0.500 3.0 img/s",
        "about 8 min left",
        "✓ shapes-retinanet_resnet50_fpn",
        "2 of 4 trials done, 1 left, 1 failed",
        "out of memory: lower [batch_size]",
    ):
        assert said in text, said


def test_a_screen_that_cannot_be_written_ends_nothing(clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output on a full disk, or to a terminal that is gone, is lost, and nothing else."""
    full = Path("/dev/full").open("w")  # noqa: SIM115 - what its buffer holds cannot be written, so it cannot be closed
    monkeypatch.setattr("sys.stdout", full)
    console = SafeConsole()
    for view in (plain.PlainView(console, clock.now), live.LiveView(console, clock.now)):
        _play(view, clock)
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_a_race_is_shown_turn_by_turn(clock: SteppedClock) -> None:
    """A line for each turn that ended, in plain lines and above the live view, which shows the present turn too."""
    race, result = make_race(), make_result(seconds=0.0213)
    first, second = race.entrants
    for view, stream in (
        (plain.PlainView(Console(file=(one := io.StringIO()), width=200), clock.now), one),
        (live.LiveView(Console(file=(two := io.StringIO()), width=200, force_terminal=True), clock.now), two),
    ):
        observers = Observers((view,))
        observers.race(race, Path("races/1"), 6, 75.0)
        observers.turn(race, 1, first)
        observers.event(make_trial(), StageEvent(stage="measure"))
        observers.poll()
        observers.turn_end(race, 1, first, result, "succeeded")
        observers.turn_end(race, 1, second, None, "out of memory")
        observers.close()
        said = stream.getvalue()
        assert "race of speed on shapes starts: 2 rows, 3 blocks, about 1 min; files: races/1" in said
        assert "block 1/3: a 21.3 ms" in said
        assert "block 1/3: b out of memory; it leaves the race" in said
        assert ("race of speed, block 1 of 3: a" in said) == isinstance(view, live.LiveView)


def test_the_forecast_counts_the_race(clock: SteppedClock) -> None:
    """Its seconds are part of those that the run takes."""
    trial, stream = make_trial(), io.StringIO()
    observers = Observers((plain.PlainView(Console(file=stream, width=200), clock.now),))
    observers.expect_race(RaceForecast(entrants=3, blocks=5, seconds=120.0))
    observers.expect((trial,), {trial.trial_id: 180.0})
    assert "1 trial left: about 5 min, until " in stream.getvalue()
    assert "with a race of speed of about 2 min at the end (5 blocks of up to 3 rows)" in stream.getvalue()


def test_several_at_once_are_told_apart(clock: SteppedClock) -> None:
    """In lines each names its trial; in the live view each that runs has a bar, as far as there is room."""
    trials = tuple(make_trial(seed=seed) for seed in range(12))
    plan: Any = SimpleNamespace(selected=trials, records={}, given_up=(), failed={}, slots=(None,) * 12)
    lines, screen = io.StringIO(), io.StringIO()
    terminal = Console(file=screen, width=120, height=20, force_terminal=True, color_system=None)
    views: tuple[Any, ...] = (
        plain.PlainView(Console(file=lines, width=200), clock.now),
        live.LiveView(terminal, clock.now),
    )
    observers = Observers(views)
    observers.begin(plan)
    observers.expect(trials, {trial.trial_id: 100.0 for trial in trials})
    for trial in trials:
        observers.start(trial, Path("log.txt"))
    step = StepEvent(epoch=1, epochs=2, step=1, steps=2, loss=0.5, images_per_s=3.0)
    observers.event(trials[3], StageEvent(stage="train"))
    observers.event(trials[3], step)
    observers.event(trials[5], StageEvent(stage="measure"))
    observers.poll()
    assert f"{trials[3].trial_id}: training" in lines.getvalue()
    assert f"{trials[5].trial_id}: measuring speed and memory" in lines.getvalue()
    assert "12 trials left: about 2 min in 12 slots (20 min of work)" in lines.getvalue()
    assert "[12/12]" in lines.getvalue()
    last = screen.getvalue().rpartition("12 left")[2]
    assert "epoch 1/2 step 1/2 loss 0.500 3.0 img/s" in last
    assert "measuring speed and memory" in last
    assert sum(trial.trial_id in last for trial in trials) == 8
    assert "and 4 more" in last
    observers.close()
