"""One attempt in one child process of its own process group: start it, read its progress, say how it ended.

The child commits its record before it exits; its exit code is only a hint. One trial's crash, leak or out-of-memory
never touches the next, and this process never imports torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import MachineError
from harness.store import files, record

if TYPE_CHECKING:
    from harness.store.files import AttemptFolder

_POLL_S = 0.5  # a parent that polls faster takes a core from the measurement beside it
_GRACE_S = 5.0
_LAST_BYTES = 4000

Event = Mapping[str, Any]
OnEvent = Callable[[Event | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended, and whether its trial has a record now."""

    outcome: record.OutcomeName
    reason: str | None
    recorded: bool


def run_attempt(assignment: record.Assignment, folder: AttemptFolder, *, on_event: OnEvent) -> Ending:
    """Run one attempt to its end.

    Args:
        on_event: told of each progress event, and of None at each poll without one.

    Raises:
        MachineError: the child said that the machine cannot go on, or a file cannot be written.
        KeyboardInterrupt: the child's group was ended and the attempt marked as interrupted.
    """
    files.commit(folder.assignment, record.encode(record.ASSIGNMENT, assignment))
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()

    def leave(outcome: record.OutcomeName, reason: str | None) -> None:
        ended = record.Outcome(
            outcome=outcome,
            reason=reason,
            retryable=True,
            started_at=started_at,
            wall_s=time.monotonic() - started,
        )
        files.commit(folder.outcome, record.encode(record.OUTCOME, ended))

    child = _start(folder, assignment.threads)
    try:
        _watch(child, folder.events, on_event)
    except BaseException as error:
        _end_group(child)
        leave(
            "interrupted",
            "by Ctrl-C, SIGTERM or a closed terminal"
            if isinstance(error, KeyboardInterrupt)
            else f"the runner failed: {error!r}",
        )
        raise
    _end_group(child)  # whatever the child left behind would disturb the next trial
    recorded, told = folder.trial.record.is_file(), folder.outcome.is_file()
    if not told:  # killed: before the commit of its record, or in the moment after it
        leave("succeeded", None) if recorded else leave("failed", _why(child.returncode, folder.log))
    outcome = record.decode(record.OUTCOME, folder.outcome.read_bytes(), str(folder.outcome))
    if told and child.returncode == MachineError.exit_code:
        raise MachineError(outcome.reason or "the trial's process could not go on")
    return Ending(outcome=outcome.outcome, reason=outcome.reason, recorded=recorded)


def available_cores() -> int:
    """Cores that this process may use: its affinity, and no more than its cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()
        if limit != "max":
            cores = min(cores, max(1, int(limit) // int(period)))
    return cores


def _start(folder: AttemptFolder, threads: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        # A spinning OpenMP pool slows small operations a hundredfold on a shared or throttled machine.
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))),
    }
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            # -P keeps the working directory off the path: a random.py of the user's must not stand in for python's.
            (sys.executable, "-P", "-m", "harness.trial", str(folder.path)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _watch(child: subprocess.Popen[bytes], events: Path, on_event: OnEvent) -> None:
    """Pass on events until the child has exited and every whole line is read."""
    position, torn = 0, b""
    while True:
        exited = child.poll() is not None
        if events.exists():
            with events.open("rb") as stream:
                stream.seek(position)
                data = stream.read()
                position += len(data)
            *lines, torn = (torn + data).split(b"\n")
            for line in lines:
                on_event(json.loads(line))
        if exited:
            return
        on_event(None)
        time.sleep(_POLL_S)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End everything in the child's process group: first politely, then not."""
    for number, grace in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace)
    child.wait()


def _why(code: int, log: Path) -> str:
    """A reason for a child that left no outcome."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; likely out of host memory" if -code == signal.SIGKILL else ""
        return f"killed by signal {-code} ({name}){hint}"
    lines = log.read_bytes()[-_LAST_BYTES:].decode(errors="replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    return f"exited with code {code} and left no outcome{last}"
