"""An executor for tests and debugging: each attempt runs in this process, at the first poll.

A debugger and `breakpoint()` work, and what the trial prints stays on the terminal; its log lines go to the log as
ever. What a process of its own gives is missing: nothing notices a hang or ends it, observers hear the events only once
the attempt has ended, a crash ends the run, torch is imported here, and memory that is measured is this process'.
Variants still run in processes of their own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import Interrupted
from harness.executors.environment import child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.store.job import Job
    from harness.store.paths import AttemptFolder
    from harness.trial.interrupt import InterruptHandler

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNAL_CODE = 128  # the exit code of what a signal stopped is this plus the signal's number


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineExecutor:
    """Runs each attempt in this process."""

    poll_s: float = 0.0
    one_at_a_time: bool = True

    def submit(self, job: Job, folder: AttemptFolder) -> InlineJob:
        """Prepare the attempt; its first poll runs it."""
        for name, value in child_environment(job.threads).items():
            os.environ.setdefault(name, value)  # before torch is imported, which reads them once
        return InlineJob(folder)


class InlineJob:
    """An attempt in this process."""

    def __init__(self, folder: AttemptFolder) -> None:
        self._folder = folder
        self._exit_code: int | None = None

    def poll(self) -> int:
        """Run the attempt to its end, the first time; return its exit code.

        Raises:
            Interrupted: a signal asked this process to stop; the attempt has left a checkpoint where it trained.
        """
        if self._exit_code is None:
            self._exit_code, interrupted = _run(self._folder)
            if interrupted is not None:
                raise interrupted
        return self._exit_code

    def cancel(self, *, grace_s: float) -> None:
        """Do nothing: the attempt has ended before this can be called."""

    def dump_stacks(self) -> None:
        """Do nothing: the attempt has ended before this can be called."""


def _run(folder: AttemptFolder) -> tuple[int, Interrupted | None]:
    """Return the exit code, and the signal that stopped the attempt, if one did."""
    began = time.perf_counter()
    from harness.trial.interrupt import InterruptHandler
    from harness.trial.worker import run_attempt

    interrupt = InterruptHandler(second_stops=True)
    with _logging_to(folder.log), _signals_to(interrupt):
        code = run_attempt(folder, interrupt, began=began)
    if code > _SIGNAL_CODE:
        return code, Interrupted(code - _SIGNAL_CODE, again=interrupt.asked_again)
    return code, None


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Log to this file as well, as a process of its own does."""
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("harness")
    level = ours.level
    logging.getLogger().addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        logging.getLogger().removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _signals_to(interrupt: InterruptHandler) -> Iterator[None]:
    """Let the attempt take the signals that ask it to stop; outside of the main thread none can be taken."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    interrupt.listen()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
