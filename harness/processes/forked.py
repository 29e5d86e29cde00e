"""A child of this process that a fork server made, which the standard library has no name for."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import IO

_POLL_S = 0.01


class ForkedProcess:
    """What of `subprocess.Popen` its caller needs."""

    def __init__(self, pid: int, *, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self._code: int | None = None
        self._waiting = threading.RLock()

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that killed it; None while it runs."""
        with self._waiting:  # two threads may end it at once
            if self._code is None:
                try:
                    ended, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # this process was started with SIGCHLD ignored; as subprocess has it
                    ended, status = self.pid, 0
                self._code = os.waitstatus_to_exitcode(status) if ended else None
            return self._code

    def wait(self, timeout: float) -> None:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(_POLL_S)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:  # afterwards the number may be another process'
            os.kill(self.pid, number)
