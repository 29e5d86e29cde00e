"""Start a python process of this program, ask it to stop, and end it with everything that it started.

Owns the system calls; this is the only place that starts `python -m harness.trial…`. When a process has to stop is
decided by `harness.processes.watch` and by its callers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import MachineError
from harness.processes.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.processes.forked import ForkedProcess

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_DEATH_S = 60.0
_DUMP_S = 0.3  # for the stacks of one process
_STARTED: set[int] = set()  # the process ids of those that run, and of the fork server


class Child:
    """A running python process that works on its own: an attempt of a trial, or one variant.

    Args:
        arguments: python's arguments, such as `("-m", "harness.trial", folder)`.
        environment: its environment variables; None: those of this process.
        log: the file that its output goes to, bounded in size; None: to where this process' output goes.
        own_session: start it as the leader of a session and a process group. Its standard input is then a pipe that
            ends when this process does, and `end` ends whatever it started. Otherwise it belongs to this process'
            group, so that whoever ends this process' group ends it too.
        forked: the process, where a fork server has started it already, in a session of its own.

    Raises:
        MachineError: the system has no room for another process.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        own_session: bool = True,
        forked: ForkedProcess | None = None,
    ) -> None:
        self._own_session = own_session
        self._ended = False
        if own_session:
            adopt_orphans()
        self._children_before = _children()
        self._process = forked or start_python(
            arguments,
            stdin=subprocess.PIPE if own_session else subprocess.DEVNULL,
            stdout=None if log is None else subprocess.PIPE,
            stderr=None if log is None else subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            start_new_session=own_session,
        )
        _STARTED.add(self._process.pid)
        self._log = None if log is None or self._process.stdout is None else Log(self._process.stdout, log)

    def exit_code(self) -> int | None:
        """Return its exit code, or minus the number of the signal that killed it; None while it runs."""
        return self._process.poll()

    def ask_to_stop(self, *, grace_s: float) -> None:
        """Send SIGTERM to the process alone, and wait up to `grace_s` seconds for it to end.

        A trial leaves a checkpoint in that time. Its data loader's processes must live until then, so they get no
        signal.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(timeout=grace_s)

    def dump_stacks(self) -> None:
        """Make faulthandler print every thread's stack, process by process, the first one's first.

        A process without a handler, such as a program that the user's code started, would be ended by the signal.
        """
        for pid in sorted(filter(_shows_stacks, _group(self._process.pid))):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGUSR1)
                time.sleep(_DUMP_S)  # or their lines would mix

    def end(self) -> None:
        """Kill the process, and in a session of its own everything that it started. A second call does nothing.

        Raises:
            MachineError: the kernel cannot end the process.
        """
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._own_session:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        try:
            self._process.wait(timeout=_DEATH_S)
        except subprocess.TimeoutExpired:  # not even SIGKILL ends what waits in the kernel
            raise MachineError(
                f"process {self._process.pid} cannot be ended: a device or a disk does not let go of it; see to that "
                "(a reboot, at worst), then run the same command again: finished trials are kept"
            ) from None
        if self._own_session:
            self._end_strays()
        _STARTED.discard(self._process.pid)
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._log is not None:
            self._log.close()

    def _end_strays(self) -> None:
        """Kill what had left the process group: it has become a child of this process, and so will its children.

        What others of these processes lose stays with them while they run, for each adopts the orphans of its own.
        """
        while strays := {pid for pid in _children() - self._children_before - _STARTED if _left_session(pid)}:
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a command ended, and what it printed where that was captured."""

    exit_code: int
    output: str
    errors: str


def run_module(module: str, *arguments: str, environment: Mapping[str, str], capture: bool = False) -> Completed:
    """Run `python -m MODULE ARGUMENTS` to its end; an exception meanwhile, such as Ctrl-C, ends it too.

    It runs in a session of its own: a measurement tells its own processes from others by their session.

    Args:
        environment: its environment variables.
        capture: return what it prints, in place of letting it print to this process' output.

    Raises:
        MachineError: the system has no room for another process.
    """
    stream = subprocess.PIPE if capture else None
    stdin, held = os.pipe()  # which ends when this process does: see harness.workers
    try:
        process = start_python(
            ("-m", "harness.workers", module, *arguments),
            stdin=stdin,
            stdout=stream,
            stderr=stream,
            encoding="utf-8",
            errors="replace",
            env=dict(environment),
            start_new_session=True,
        )
        try:
            output, errors = process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            ended(process)
    finally:
        os.close(stdin)
        os.close(held)
    return Completed(exit_code=process.returncode, output=output or "", errors=errors or "")


def start_python(arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start python with these arguments.

    Raises:
        MachineError: the system has no room for another process.
    """
    try:
        # -P keeps the working directory off the path: a random.py of the user's must not stand in for python's.
        process = subprocess.Popen((sys.executable, "-P", *arguments), **options)
    except OSError as error:
        raise MachineError(
            f"no process can be started: {error.strerror}; end other programs or raise the limit of processes "
            "(ulimit -u), then run the same command again: finished trials are kept"
        ) from error
    _STARTED.add(process.pid)
    return process


def ended(process: subprocess.Popen[Any]) -> None:
    """Forget a process that has been waited for: its number may become another's."""
    _STARTED.discard(process.pid)


def adopt_orphans() -> None:
    """Let processes whose parents are gone come to this one. Linux; elsewhere one that leaves its group gets away."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _group(leader: int) -> set[int]:
    """Return the process ids of a process group; where /proc does not list them, its leader alone."""
    members = {leader}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):  # the process has ended
            fields = stat.read_text().rpartition(")")[2].split()  # state, parent, group: proc(5)
            if int(fields[2]) == leader:
                members.add(int(stat.parent.name))
    return members


def _shows_stacks(pid: int) -> bool:
    """Return whether a process handles SIGUSR1; where /proc does not say, it is one of ours, which does."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(caught >> (signal.SIGUSR1 - 1) & 1)


def _left_session(pid: int) -> bool:
    """Return whether a child of this process belongs to another session; what this process starts by itself does not.

    That is so for the processes of a pool, which a report may use meanwhile.
    """
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False


def _children() -> set[int]:
    """Return the process ids of this process' children."""
    children: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            children.update(map(int, task.read_text().split()))
    return children
