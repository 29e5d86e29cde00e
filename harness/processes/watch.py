"""Watch a process until it ends: pass its events on, and notice when it makes no progress or takes too long.

The only loop of its kind, for attempts of trials and for their variants. It ends no process and writes nothing: the
caller decides what follows from `NoProgressError` and `OverTimeError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.store.events import Event, EventReader

if TYPE_CHECKING:
    from pathlib import Path

OnEvent = Callable[[Event], None]
OnPoll = Callable[[], None]

_START_S = 60.0  # the imports and the opening of a process, which it cannot report on


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a process may go without an event, and how long it may take in all; seconds."""

    hang_s: float
    total_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where a watcher takes the time from, and how it waits; a test steps its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


class NoProgressError(Exception):
    """The process has written no event for `silent_s` seconds; `last` is the last one that it wrote, if any."""

    def __init__(self, silent_s: float, last: Event | None) -> None:
        super().__init__(f"no progress for {silent_s:.0f} s")
        self.silent_s = silent_s
        self.last = last


class OverTimeError(Exception):
    """The process has taken longer than it may in all; `last` is the last event that it wrote, if any."""

    def __init__(self, last: Event | None) -> None:
        super().__init__("it takes too long")
        self.last = last


def ignore_event(_event: Event) -> None:
    """Do nothing with an event."""


def ignore_poll() -> None:
    """Do nothing at a poll."""


def watch(
    poll: Callable[[], int | None],
    events: Path,
    timeouts: Timeouts,
    *,
    poll_s: float,
    on_event: OnEvent = ignore_event,
    on_poll: OnPoll = ignore_poll,
    clock: Clock = CLOCK,
) -> int:
    """Wait until the process has ended and every whole line of its events is read; return its exit code.

    Args:
        poll: returns the exit code of the process, or None while it runs.
        events: the file that the process appends its events to; it need not exist yet.
        poll_s: seconds between two polls.
        on_event: called with each event, in order.
        on_poll: called at each poll while the process runs; may raise to stop watching.

    Raises:
        NoProgressError: there was no event for too long. Before the first one the process has at least a minute.
        OverTimeError: the process has run for too long.
    """
    reader = EventReader(events)
    started = heard_at = clock.now()
    last: Event | None = None
    while True:
        exit_code = poll()  # before reading, so that nothing that it wrote before its end is missed
        for event in reader.read():
            last, heard_at = event, clock.now()
            on_event(event)
        if exit_code is not None:
            return exit_code
        on_poll()
        now = clock.now()
        allowed_s = timeouts.hang_s if last else max(timeouts.hang_s, _START_S)
        if now - heard_at > allowed_s:
            raise NoProgressError(now - heard_at, last)
        if timeouts.total_s is not None and now - started > timeouts.total_s:
            raise OverTimeError(last)
        clock.sleep(poll_s)
