"""The child's voice: progress as lines of `events.jsonl`, which the parent reads along."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_EVENT_INTERVAL_S = 1.0


class EventWriter:
    """Appends progress lines, flushed: a new line is what tells a working process from a hung one."""

    def __init__(self, events: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._clock = clock
        self._said = 0.0

    def emit(self, event: str, **fields: object) -> None:
        """One line, now."""
        self._said = self._clock()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._events.write(json.dumps({"time": now, "event": event, **fields}) + "\n")
        self._events.flush()
        log.info("%s %s", event, " ".join(f"{key}={_brief(value)}" for key, value in fields.items()))

    def progress(self, event: str, **fields: object) -> None:
        """One line, at most every second."""
        if self._clock() - self._said >= _EVENT_INTERVAL_S:
            self.emit(event, **fields)


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
