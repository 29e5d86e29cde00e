"""The signals that ask a run to stop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

from harness.errors import Interrupted

if TYPE_CHECKING:
    from types import FrameType


def listen_for_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted where the program is; the second one says so."""
    seen: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        seen.append(number)
        raise Interrupted(number, again=len(seen) > 1)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish stays
            signal.signal(number, interrupt)
