"""A watched process' events arrive whole, once and in order, whatever the pieces they were written in."""

from __future__ import annotations

from pathlib import Path

from harness.processes.child import Child
from harness.processes.watch import Timeouts, watch
from harness.store.events import Event, OtherEvent

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
