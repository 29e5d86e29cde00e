"""A child process with all that it starts: begun in a session of its own, asked to stop, or ended to the last process.

Owns the system calls. What a child does and when it is to be ended is `harness.executors.local`'s business.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.executors.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_DEATH_S = 60.0
_DUMP_S = 0.3  # for the stacks of one process


class Child:
    """`python -m harness.trial FOLDER`. Its output goes to `log`; its standard input ends when this process does."""

    def __init__(self, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._ended = False
        _adopt_orphans()
        self._before = _children()
        self._process = subprocess.Popen(
            # -P keeps the working directory off the path: a random.py of the user's must not stand in for python's.
            (sys.executable, "-P", "-m", "harness.trial", str(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._log = Log(self._process.stdout, log)

    def exit_code(self) -> int | None:
        """Its exit code, or minus the signal that killed it; None while it runs."""
        return self._process.poll()

    def ask_to_stop(self, *, grace_s: float) -> None:
        """Give it time to leave a checkpoint. Its loader's processes must live for that: only the child is asked."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(timeout=grace_s)

    def dump_stacks(self) -> None:
        """Have faulthandler write every thread's stack into the log, process by process, its own first."""
        for pid in sorted(_group(self._process.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGUSR1)
                time.sleep(_DUMP_S)  # or their lines would mix

    def end(self) -> None:
        """End it and everything that it started, at once; again it does nothing."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            self._process.wait(timeout=_DEATH_S)
        except subprocess.TimeoutExpired:  # not even SIGKILL ends what waits in the kernel
            raise MachineError(
                f"process {self._process.pid} cannot be ended: a device or a disk does not let go of it; see to that "
                "(a reboot, at worst), then run the same command again: finished trials are kept"
            ) from None
        while strays := _children() - self._before:  # what had left the group has become ours; its own children follow
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()


def _adopt_orphans() -> None:
    """Let processes whose parents are gone come to this one. Linux; elsewhere one that leaves its group gets away."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _group(leader: int) -> set[int]:
    """The pids of a process group; where /proc does not tell, its leader."""
    found = {leader}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):  # the process has ended
            fields = stat.read_text().rpartition(")")[2].split()  # state, parent, group: proc(5)
            if int(fields[2]) == leader:
                found.add(int(stat.parent.name))
    return found


def _children() -> set[int]:
    """The pids of this process' children."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found.update(map(int, task.read_text().split()))
    return found
