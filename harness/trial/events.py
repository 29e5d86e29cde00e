"""Writes a process' progress into its `events.jsonl`, which the runner reads along, and into its log.

Owns when a line is written. What a line says is `harness.store.events`' business.
"""

from __future__ import annotations

import logging
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from harness.errors import Interrupted
from harness.store.events import encode_event, event_fields, event_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.store.events import Event

log = logging.getLogger(__name__)


class EventWriter:
    """Appends events to an open file, flushed: a new line is what tells a working process from a hung one.

    Args:
        given_up: whether the runner has given up this process meanwhile, which then stops: it was frozen, say, or cut
            off from the network, and its trial runs elsewhere.
    """

    def __init__(
        self,
        events: TextIO,
        clock: Callable[[], float] = time.monotonic,
        *,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._events, self._clock, self._given_up = events, clock, given_up
        self._opened_at = clock()
        self._written_at = float("-inf")

    def emit(self, event: Event) -> None:
        """Write the event now, with the time.

        Raises:
            Interrupted: the runner has given up this process.
        """
        if self._given_up():
            log.error("the runner has given this attempt up; it stops")
            raise Interrupted(signal.SIGTERM)
        self._written_at = self._clock()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        uptime_s = self._written_at - self._opened_at
        self._events.write(encode_event(replace(event, time=now, uptime_s=uptime_s)))
        self._events.flush()
        values = " ".join(f"{name}={_brief(value)}" for name, value in event_fields(event).items())
        log.info("%s %s", event_name(event), values)

    def progress(self, event: Event, *, every_s: float = 1.0) -> None:
        """Write the event, unless another one was written less than `every_s` seconds ago."""
        if self._clock() - self._written_at >= every_s:
            self.emit(event)


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
