"""A line of events.jsonl: written and read the same; older and unknown lines are read as far as they go."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC
from pathlib import Path

import pytest

from harness.observers.state import RunState
from harness.store.events import (
    EvaluatedEvent,
    Event,
    EventReader,
    MeasuredEvent,
    OtherEvent,
    PausedEvent,
    PreflightEvent,
    ResumedEvent,
    StageEvent,
    StepEvent,
    ValidationEvent,
    VariantEvent,
    decode_event,
    encode_event,
    event_moment,
    paused_s,
    read_events,
    worked_s,
)
from tests.store.make import make_trial

TIME = "2026-01-01T18:00:00.000+00:00"
STEP = StepEvent(time=TIME, epoch=1, epochs=2, step=3, steps=4, loss=0.5, images_per_s=7.0)
EVENTS: tuple[Event, ...] = (
    StageEvent(time=TIME, stage="data", device="cpu"),
    StageEvent(time=TIME, stage="measure", variant="onnxruntime"),
    STEP,
    ValidationEvent(time=TIME, epoch=1, map=0.25, map_50=None),
    ResumedEvent(time=TIME, place="at epoch 1, step 2"),
    EvaluatedEvent(time=TIME, split="val", images=3, of=9),
    MeasuredEvent(time=TIME),
    PreflightEvent(time=TIME, stage="train", step_s=0.5),
    VariantEvent(time=TIME, variant="onnxruntime"),
    PausedEvent(time=TIME, paused_s=25.5),
    MeasuredEvent(time=TIME, uptime_s=7.125),
    OtherEvent(time=TIME, stage="train", name="from_the_future"),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_written_is_read(event: Event) -> None:
    """Every type, with what it leaves open."""
    line = encode_event(event)
    assert line.endswith("\n")
    assert json.loads(line)["time"] == TIME
    assert decode_event(line.encode()) == event


@pytest.mark.parametrize(
    ("line", "event"),
    [
        # As version 0.2 wrote them.
        (
            f'{{"time": "{TIME}", "event": "step", "stage": "train", "epoch": 1, "epochs": 2, "step": 3, "steps": 4, '
            '"loss": 0.5, "images_per_s": 7.0}',
            STEP,
        ),
        (
            f'{{"time": "{TIME}", "event": "rehearsed", "stage": "evaluate", "evaluation_s": 0.1}}',
            PreflightEvent(time=TIME, stage="evaluate", evaluation_s=0.1),
        ),
        # Not what this version expects.
        ('{"event": "step", "stage": "train", "n": 1}', OtherEvent(name="step", stage="train")),
        ('{"event": "new", "time": 4, "stage": null}', OtherEvent(name="new")),
        ('{"event": "measured", "more": [1]}', MeasuredEvent()),
        ('{"stage": "train"}', None),
        ("[1]", None),
        ('{"event": "st', None),
        ("", None),
    ],
)
def test_older_and_unknown_lines_are_read_as_far_as_they_go(line: str, event: Event | None) -> None:
    """An unknown event is still a sign of life; what is no event is left out."""
    assert decode_event(line.encode()) == event


def test_a_loss_that_is_no_number_is_read() -> None:
    """A diverging training writes NaN before it fails."""
    event = decode_event(
        encode_event(StepEvent(epoch=1, epochs=1, step=1, steps=1, loss=math.nan, images_per_s=1.0)).encode()
    )
    assert isinstance(event, StepEvent)
    assert math.isnan(event.loss)


def test_a_reader_gives_each_line_once_and_whole(tmp_path: Path) -> None:
    """While the file grows, in pieces of any size; a file that is not there yet has no events."""
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read() == []
    data = "".join(map(encode_event, EVENTS)).encode() + b'{"event": "torn'
    received: list[Event] = []
    with path.open("ab", buffering=0) as stream:
        for start in range(0, len(data), 37):
            stream.write(data[start : start + 37])
            received += reader.read()
    assert tuple(received) == EVENTS == read_events(path)


@pytest.mark.parametrize(
    ("time", "hour"),
    [("2026-11-25T10:00:00+00:00", 10), ("2026-11-25T10:00:00", 10), ("2026-11-25T10:00:00+02:00", 8)],
)
def test_the_moment_of_an_event_is_in_utc(time: str, hour: int) -> None:
    """A time without a zone counts as UTC."""
    moment = event_moment(StageEvent(stage="train", time=time))
    assert moment is not None
    assert (moment.hour, moment.tzinfo) == (hour, UTC)


@pytest.mark.parametrize("time", ["", "yesterday", "9999-12-31T23:59:59-12:00"])
def test_an_event_without_a_readable_time_has_no_moment(time: str) -> None:
    """As a damaged file may have it."""
    assert event_moment(StageEvent(stage="train", time=time)) is None


def test_what_is_no_event_is_left_out(tmp_path: Path) -> None:
    """Nested without end, or a folder in the place of the file."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"[" * 100_000 + b"\n" + encode_event(EVENTS[0]).encode())
    assert read_events(path) == EVENTS[:1]
    assert read_events(tmp_path) == ()


def _at(time: str, uptime_s: float | None = None) -> Event:
    return MeasuredEvent(time=f"2026-01-01T{time}+00:00", uptime_s=uptime_s)


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ((), 0),
        ((_at("18:00:00", 1.0), _at("18:00:07", 8.0)), 8),
        ((_at("18:00:00", 1.0), _at("23:00:00", 8.0)), 8),  # the time of day was set forward
        ((_at("18:00:00", 1.0), _at("03:00:00", 8.0)), 8),  # and back
        ((_at("18:00:00", 1.0), PausedEvent(paused_s=3600.0), _at("19:00:07", 3608.0)), 8),
        ((_at("18:00:00", 1.0), PausedEvent(paused_s=3600.0)), 0),
        ((_at("18:00:00", 1.0), PausedEvent(paused_s=math.nan), _at("18:00:07", 8.0)), 8),
        ((_at("18:00:00", math.nan), _at("18:00:07", 8.0), _at("18:00:09", -1e9)), 8),
        # As versions before 0.4 wrote them.
        ((_at("18:00:00"), _at("18:00:30"), _at("18:00:50")), 50),
        ((_at("18:00:00"), _at("18:00:30"), _at("23:00:30"), _at("23:00:40")), 100),
        ((_at("18:00:00"), _at("18:00:30"), _at("03:00:00"), _at("03:00:10")), 40),
        ((_at("18:00:00"), OtherEvent(name="x", time="no time"), _at("18:00:30")), 30),
    ],
)
def test_work_is_counted_by_a_clock_that_nobody_sets(events: tuple[Event, ...], seconds: float) -> None:
    """Neither a step of the time of day nor a pause is work; where only the time of day is known, a step is bounded."""
    assert worked_s(events) == seconds


def test_pauses_are_summed() -> None:
    """Those that can be."""
    assert paused_s(()) == 0
    assert paused_s((PausedEvent(paused_s=2.0), STEP, PausedEvent(paused_s=3.0), PausedEvent(paused_s=-9.0))) == 5.0


HUGE = "1" + "0" * 4000
BAD_LINES = (
    f'{{"event": "step", "epoch": {HUGE}, "epochs": 1, "step": 1, "steps": 1, "loss": 1, "images_per_s": 1}}',
    '{"event": "step", "epoch": 1, "epochs": 0, "step": 1, "steps": 0, "loss": 1, "images_per_s": 1}',
    '{"event": "step", "epoch": -1, "epochs": 1, "step": 1, "steps": 1, "loss": 1, "images_per_s": 1}',
    '{"event": "step", "epoch": 1, "epochs": 1, "step": 1, "steps": 1, "loss": 1, "images_per_s": Infinity}',
    '{"event": "validation", "epoch": 1, "map": 1e308, "map_50": NaN}',
    '{"event": "preflight", "step_s": 1e308}',
    '{"event": "stage", "stage": "\\ud800", "time": "9999-12-31T23:59:59-12:00"}',
    '{"event": "\\ud800", "stage": "\\udfff"}',
    '{"event": "stage", "stage": ["train"], "time": {}}',
    f'{{"event": "stage", "stage": "{"x" * 100_000}"}}',
    f'{{"event": "stage", "stage": "{"x" * 3_000_000}"}}',
    "[" * 100_000,
    "\x00\x00\x00",
)


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:40])
def test_whatever_a_line_holds_can_be_shown_and_stored(line: str, tmp_path: Path) -> None:
    """The lines around it are read; what it says itself fits on a line, into a file, and into a calculation."""
    path = tmp_path / "events.jsonl"
    around, trial = encode_event(STEP).encode(), make_trial()
    path.write_bytes(around + line.encode() + b"\n\xff\xfe\n" + around)
    first, *bad, last = read_events(path)
    assert (first, last) == (STEP, STEP)
    for event in bad:
        encode_event(event).encode()
        assert len(encode_event(event)) < 2000
        event.stage.encode()
        state = RunState()
        state.start(trial)
        state.event(trial, event)
        assert state.running[trial.trial_id].trained_fraction() >= 0
        state.running[trial.trial_id].doing().encode()


def test_a_pipe_in_the_place_of_the_file_waits_for_nobody(tmp_path: Path) -> None:
    """It holds no events."""
    path = tmp_path / "events.jsonl"
    os.mkfifo(path)
    assert read_events(path) == ()


def test_a_long_file_is_read_whole(tmp_path: Path) -> None:
    """In pieces, so that no line of it is lost."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(encode_event(STEP).encode() * 20_000)
    assert read_events(path) == (STEP,) * 20_000
