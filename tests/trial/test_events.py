"""Progress is written at most every second, with its time, and never held back in a buffer."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store.events import EvaluatedEvent, MeasuredEvent, StageEvent, read_events
from harness.trial.events import EventWriter
from tests.clock import SteppedClock


def test_progress_is_written_at_most_every_second(tmp_path: Path) -> None:
    """The first at once; what begins is always written, and counts; each line is in the file when the call returns."""
    clock, path = SteppedClock(), tmp_path / "events.jsonl"
    with path.open("a", encoding="utf-8") as stream:
        events = EventWriter(stream, clock.now)
        for images in range(1, 31):
            events.progress(EvaluatedEvent(split="val", images=images, of=30))
            clock.sleep(0.1)
        assert [e.images for e in read_events(path) if isinstance(e, EvaluatedEvent)] in ([1, 11, 21], [1, 12, 23])
        events.emit(StageEvent(stage="measure"))
        events.progress(MeasuredEvent())
        clock.sleep(5)
        events.progress(MeasuredEvent(), every_s=10)
        events.progress(MeasuredEvent())
        *_, stage, measured = read_events(path)
    assert (type(stage), type(measured)) == (StageEvent, MeasuredEvent)
    assert stage.time.startswith("20")
    assert stage.time.endswith("+00:00")
    assert stage.uptime_s == pytest.approx(3.0)
    assert measured.uptime_s == pytest.approx(8.0)
