"""A watched process' events arrive whole, once and in order, whatever the pieces they were written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.processes.child import Child
from harness.processes.watch import Clock, NoProgressError, OverTimeError, Timeouts, watch
from harness.store.events import Event, OtherEvent, PausedEvent, StageEvent, encode_event
from tests.clock import SteppedClock

NO_LIMIT = Timeouts(hang_s=60, total_s=None)


def test_events_arrive_whole_and_in_order(tmp_path: Path) -> None:
    """Lines written in pieces are passed on once each, the last one too; a torn line or a bad one ends nothing."""
    events = tmp_path / "events.jsonl"
    code = """
import sys, time
with open(sys.argv[1], 'w') as f:
    for n in range(300):
        f.write('{"event": "counted", '); f.flush()
        if n % 100 == 50: time.sleep(0.1)
        f.write(f'"stage": "{n}"' + '}\\n'); f.flush()
    f.write('no event\\n[1]\\n{"event": "torn"')
"""
    received: list[Event] = []
    polls: list[int] = []
    child = Child(("-c", code, str(events)))
    try:
        exit_code = watch(
            child.exit_code, events, NO_LIMIT, poll_s=0.01, on_event=received.append, on_poll=lambda: polls.append(1)
        )
    finally:
        child.end()
    assert exit_code == 0
    assert received == [OtherEvent(name="counted", stage=str(n)) for n in range(300)]
    assert polls


PAUSE_S = 8 * 3600.0


class _Night:
    """A process that is watched on a stepped clock, which jumps once, wherever the watcher stands then."""

    def __init__(self, events: Path, place: str, at_s: float) -> None:
        self.clock = SteppedClock()
        self.pauses: list[float] = []
        self._events, self._place, self._at_s = events, place, at_s
        self._paused = False

    def be(self, place: str) -> None:
        if place == self._place and not self._paused and self.clock.time_s >= 1000 + self._at_s:
            self._paused = True
            self.clock.time_s += PAUSE_S

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.be("sleep")

    def poll(self) -> None:
        self.be("poll")

    def watch(self, timeouts: Timeouts, *, silent: bool) -> float:
        """Return after how many seconds the watcher gave up, without the pause."""

        def on_poll() -> None:
            if not silent or not self._events.exists():
                with self._events.open("a") as stream:
                    stream.write(encode_event(StageEvent(stage="train")))
            self.be("on_poll")

        with pytest.raises(NoProgressError if silent else OverTimeError):
            watch(
                self.poll,
                self._events,
                timeouts,
                poll_s=0.5,
                on_event=lambda _event: self.be("on_event"),
                on_poll=on_poll,
                on_pause=self.pauses.append,
                clock=Clock(now=self.clock.now, sleep=self.sleep),
            )
        return self.clock.time_s - 1000 - PAUSE_S * self._paused


@pytest.mark.parametrize("place", ["poll", "sleep", "on_poll", "on_event", "nowhere"])
@pytest.mark.parametrize("at_s", [0, 1, 100])
def test_a_pause_counts_for_no_timeout(tmp_path: Path, place: str, at_s: float) -> None:
    """Eight hours in which the watcher stood still, wherever it stood: neither a hang nor too long."""
    silent = _Night(tmp_path / "silent.jsonl", place, at_s if place != "on_event" else 0)
    assert 599 <= silent.watch(Timeouts(hang_s=600, total_s=None), silent=True) <= 603
    busy = _Night(tmp_path / "busy.jsonl", place, at_s)
    assert 699 <= busy.watch(Timeouts(hang_s=600, total_s=700), silent=False) <= 703
    for night in (silent, busy):
        assert len(night.pauses) == (place != "nowhere")
        assert all(abs(paused_s - PAUSE_S) <= 1 for paused_s in night.pauses)


def test_many_pauses_count_for_none(tmp_path: Path) -> None:
    """A laptop that wakes up for a second, again and again; limits of seconds are kept like limits of hours."""
    clock = SteppedClock()
    polls = 0

    def sleep(seconds: float) -> None:
        nonlocal polls
        polls += 1
        clock.sleep(seconds if polls % 3 else 60.0)

    with pytest.raises(NoProgressError):
        watch(
            lambda: None,
            tmp_path / "events.jsonl",
            Timeouts(hang_s=18, total_s=None),
            poll_s=0.5,
            clock=Clock(now=clock.now, sleep=sleep),
        )
    assert 120 <= polls <= 122  # a minute before the first event


def test_a_pause_is_no_progress(tmp_path: Path) -> None:
    """What the watcher itself writes of a pause into the events does not make a hung process look alive."""
    clock, events = SteppedClock(), tmp_path / "events.jsonl"
    events.write_text(encode_event(StageEvent(stage="train")))

    def sleep(seconds: float) -> None:
        clock.sleep(seconds if clock.time_s < 1003 else 3600.0)

    def on_pause(paused_s: float) -> None:
        with events.open("a") as stream:
            stream.write(encode_event(PausedEvent(paused_s=paused_s)))

    heard: list[Event] = []
    with pytest.raises(NoProgressError) as raised:
        watch(
            lambda: None,
            events,
            Timeouts(hang_s=6, total_s=None),
            poll_s=0.5,
            on_event=heard.append,
            on_pause=on_pause,
            clock=Clock(now=clock.now, sleep=sleep),
        )
    assert raised.value.last == StageEvent(stage="train")
    assert sum(isinstance(event, PausedEvent) for event in heard) == 7
