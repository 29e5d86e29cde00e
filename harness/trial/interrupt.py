"""How a trial is asked to stop: by SIGTERM (or SIGINT), once.

Training finishes its step and leaves a checkpoint; every other stage is left at once, since the last checkpoint holds
all of it.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

from harness.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator


class InterruptHandler:
    """Remembers whether this process was asked to stop, and raises Interrupted at the signal itself unless deferred.

    Args:
        second_stops: whether a second signal raises Interrupted in a deferred block too. A process of its own is
            killed by its runner then; one that is the runner has to stop itself.
    """

    def __init__(self, *, second_stops: bool = False) -> None:
        self._second_stops = second_stops
        self._asked: int | None = None
        self._deferred = False
        self.asked_again = False

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether this process was asked to stop."""
        return self._asked is not None

    def check(self) -> None:
        """Stop here, if this process was asked to.

        Raises:
            Interrupted: it was.
        """
        if self._asked is not None:
            raise Interrupted(self._asked)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Only remember a signal that comes in this block: the block calls `check` where it can be left."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _on_signal(self, number: int, _frame: object) -> None:
        self.asked_again = self._asked is not None
        self._asked = number
        if not self._deferred or (self.asked_again and self._second_stops):
            raise Interrupted(number, again=self.asked_again)
