"""How far an attempt is, from the events that it left in its file, as `harness status` reads them anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness.observers.progress import Pace, replayed
from harness.scheduling.estimate import StageSeconds
from harness.store.events import EvaluatedEvent, Event, StageEvent, StepEvent
from tests.store.make import make_trial

START = datetime(2026, 1, 1, tzinfo=UTC)
EXPECTED = StageSeconds(start_s=10, training_s=100, evaluation_s=50, measurement_s=40)


def _at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def test_events_of_a_file_tell_what_is_left_and_how_fast() -> None:
    """Half trained at half the speed; then evaluating; a line without a time is left out."""
    events: list[Event] = [StageEvent(stage="data", time=_at(0)), StageEvent(stage="train", time=_at(10))]
    for step in range(1, 6):
        event = StepEvent(epoch=1, epochs=1, step=step, steps=10, loss=1.0, images_per_s=1.0, time=_at(10 + 20 * step))
        events.append(event)
    events.append(StageEvent(stage="train", time=""))
    left_s, factor = replayed(make_trial(), events, EXPECTED, START + timedelta(seconds=110))
    assert left_s == pytest.approx(50 + 50 + 40)
    assert factor == pytest.approx(2, rel=0.05)
    events += [
        StageEvent(stage="evaluate", time=_at(200)),
        EvaluatedEvent(split="val", images=1, of=5, time=_at(220)),
        EvaluatedEvent(split="val", images=2, of=5, time=_at(240)),
    ]
    left_s, _ = replayed(make_trial(), events, EXPECTED, START + timedelta(seconds=240))
    assert left_s == pytest.approx(30 + 40)


def test_an_attempt_without_events_has_everything_before_it() -> None:
    """It starts."""
    assert replayed(make_trial(), (), EXPECTED, START) == (200, 1)


def test_a_pace_is_that_of_the_last_minutes() -> None:
    """What a machine did an hour ago says nothing of now; before anything is seen it is as expected."""
    pace = Pace()
    assert pace.factor() == 1
    for _ in range(600):
        pace.add(1.0, 1.0)
    assert pace.factor() == 1
    for _ in range(120):
        pace.add(3.0, 1.0)
    assert pace.factor() == pytest.approx(3, rel=0.05)
