"""Watch a process until it ends: pass its events on, and notice when it makes no progress or takes too long.

For attempts of trials, of which several run at once, and for their variants. It ends no process and writes nothing: the
caller decides what follows from `NoProgressError` and `OverTimeError`.

A gap between two polls that is much longer than it should be means that this process stood still, and the other most
likely with it: a laptop slept, a container was paused, somebody sent SIGSTOP. Such a pause counts for no timeout. The
clock does not run while a machine is suspended, nor does it follow the time of day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.store.events import Event, EventReader, PausedEvent

if TYPE_CHECKING:
    from pathlib import Path

OnEvent = Callable[[Event], None]
OnPoll = Callable[[], None]
OnPause = Callable[[float], None]

_LATE_S = 5.0  # a poll that comes later than this after its time comes after a pause
_START_S = 60.0  # the imports and the opening of a process, which it cannot report on


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a process may go without an event, and how long it may take in all; seconds, without pauses."""

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


def ignore_pause(_paused_s: float) -> None:
    """Do nothing about a pause."""


class Watch:
    """One process that is watched: each step passes on what it has written since the one before.

    Args:
        poll: returns the exit code of the process, or None while it runs.
        events: the file that the process appends its events to; it need not exist yet.
        poll_s: seconds between two steps.
        on_event: called with each event, in order.
        on_pause: called after a pause of this process, with its seconds.
    """

    def __init__(
        self,
        poll: Callable[[], int | None],
        events: Path,
        timeouts: Timeouts,
        *,
        poll_s: float,
        on_event: OnEvent = ignore_event,
        on_pause: OnPause = ignore_pause,
        clock: Clock = CLOCK,
    ) -> None:
        self._poll, self._timeouts, self._poll_s, self._clock = poll, timeouts, poll_s, clock
        self._on_event, self._on_pause = on_event, on_pause
        self._reader = EventReader(events)
        self._late_s = poll_s + min(_LATE_S, timeouts.hang_s / 4)
        self._watched_s = self._heard_s = 0.0  # by a clock that stands still in pauses
        self._polled_at = clock.now()
        self._last: Event | None = None

    def begin(self) -> None:
        """Count from now on: until now the process waited for its place."""
        self._watched_s = self._heard_s = 0.0
        self._polled_at = self._clock.now()

    def leave_out(self, seconds: float) -> None:
        """Count so many seconds for no timeout and no pause: the caller did something else."""
        self._polled_at += seconds

    def step(self) -> int | None:
        """Return the exit code once the process has ended and every whole line of its events is read.

        Raises:
            NoProgressError: there was no event for too long. Before the first one the process has at least a minute.
            OverTimeError: the process has run for too long.
        """
        exit_code = self._poll()  # before reading, so that nothing that it wrote before its end is missed
        gap_s, self._polled_at = self._clock.now() - self._polled_at, self._clock.now()
        if gap_s > self._late_s:
            self._on_pause(gap_s - self._poll_s)
            gap_s = self._poll_s
        self._watched_s += max(0.0, gap_s)
        for event in self._reader.read():
            if not isinstance(event, PausedEvent):
                self._last, self._heard_s = event, self._watched_s
            self._on_event(event)
        if exit_code is not None:
            return exit_code
        allowed_s = self._timeouts.hang_s if self._last else max(self._timeouts.hang_s, _START_S)
        if self._watched_s - self._heard_s > allowed_s:
            raise NoProgressError(self._watched_s - self._heard_s, self._last)
        if self._timeouts.total_s is not None and self._watched_s > self._timeouts.total_s:
            raise OverTimeError(self._last)
        return None


def watch(
    poll: Callable[[], int | None],
    events: Path,
    timeouts: Timeouts,
    *,
    poll_s: float,
    on_event: OnEvent = ignore_event,
    on_poll: OnPoll = ignore_poll,
    on_pause: OnPause = ignore_pause,
    clock: Clock = CLOCK,
) -> int:
    """Watch one process to its end; return its exit code.

    Args:
        poll: see `Watch`, as for the others.
        on_poll: called after each step while the process runs; may raise to stop watching.

    Raises:
        NoProgressError: there was no event for too long.
        OverTimeError: the process has run for too long.
    """
    process = Watch(poll, events, timeouts, poll_s=poll_s, on_event=on_event, on_pause=on_pause, clock=clock)
    while (exit_code := process.step()) is None:
        on_poll()
        clock.sleep(poll_s)
    return exit_code
