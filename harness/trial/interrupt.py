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
    """Whether this process was asked to stop. Raises Interrupted from the signal itself unless deferred."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._deferred = False

    def listen(self) -> None:
        """Take the signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._asked is not None

    def check(self) -> None:
        """Stop here, if asked to.

        Raises:
            Interrupted: it is time.
        """
        if self._asked is not None:
            raise Interrupted(self._asked)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """A signal in this block is only noted: the block calls `check` where it can be left."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _on_signal(self, number: int, _frame: object) -> None:
        self._asked = number
        if not self._deferred:
            raise Interrupted(number)
