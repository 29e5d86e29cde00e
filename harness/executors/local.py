"""One attempt in one child process of its own process group: start it, read its progress, say how it ended.

The child commits its record before it exits; its exit code is only a hint. One trial's crash, hang, leak or
out-of-memory never touches the next, and this process never imports torch.
"""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.errors import Interrupted, MachineError
from harness.executors.process import Child
from harness.store import files, record
from harness.store.job import JOB, OUTCOME, Attempt, Cause, Job, Outcome, OutcomeName

if TYPE_CHECKING:
    from pathlib import Path

    from harness.store.paths import AttemptFolder
from harness.executors.base import AttemptResult, Event, OnEvent, Timeouts
from harness.executors.environment import child_environment

_POLL_S = 0.5  # a parent that polls faster takes a core from the measurement beside it
_GRACE_S = 20.0  # for a checkpoint after SIGTERM
_START_S = 60.0  # the imports and the opening of a child, which it cannot report on
_LAST_BYTES = 4000
_MINUTE = 60


class _GaveUp(Exception):  # noqa: N818 - not an error, a verdict
    """The child is to be ended, for this outcome and reason."""

    def __init__(self, outcome: OutcomeName, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.outcome: OutcomeName = outcome
        self.cause: Cause = cause
        self.reason = reason


def run_attempt(job: Job, folder: AttemptFolder, patience: Timeouts, *, on_event: OnEvent) -> AttemptResult:
    """Run one attempt to its end; nothing of it is left running.

    Args:
        on_event: told of each progress event, and of None at each poll without one.

    Raises:
        MachineError: the child said that the machine cannot go on, or a file cannot be written.
        Interrupted: a signal asked this process to stop; the child has left a checkpoint, unless asked again.
    """
    files.commit(folder.job, record.encode(JOB, job))
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()

    def leave(outcome: OutcomeName, cause: Cause | None, reason: str | None) -> None:
        ended = Outcome(
            outcome=outcome,
            reason=reason,
            retryable=outcome in {"failed", "hung", "interrupted"},
            started_at=started_at,
            wall_s=time.monotonic() - started,
            cause=cause,
        )
        files.commit(folder.outcome, record.encode(OUTCOME, ended))  # unless the child told already

    child = Child(folder.path, folder.log, child_environment(job.threads))
    try:
        _watch(child, folder.events, patience, on_event)
    except _GaveUp as verdict:
        if verdict.outcome == "hung":
            child.dump_stacks()
        else:
            child.ask_to_stop(grace_s=_GRACE_S)
        child.end()
        leave(verdict.outcome, verdict.cause, verdict.reason)
    except BaseException as error:
        try:
            child.ask_to_stop(grace_s=_GRACE_S)
        finally:  # at once, where a second signal cuts the wait short
            child.end()
        asked = f"by {signal.Signals(error.number).name}" if isinstance(error, Interrupted) else None
        leave("interrupted", "signal", asked or f"the runner failed: {error!r}")
        raise
    finally:
        child.end()  # whatever it left behind would disturb the next trial
    code = child.exit_code() or 0
    recorded = folder.result.record.is_file()
    if not folder.outcome.is_file():  # killed: before the commit of its record, or in the moment after it
        if recorded:
            leave("succeeded", None, None)
        elif code == MachineError.exit_code:  # it could not even say so
            leave("interrupted", "machine", _last_line(folder.log))
        else:
            leave("failed", "killed" if code < 0 else "exception", _why(code, folder.log))
    outcome = record.decode(OUTCOME, folder.outcome.read_bytes(), str(folder.outcome))
    if outcome.cause == "machine":
        raise MachineError(outcome.reason or "the trial's process could not go on")
    fields = {name: getattr(outcome, name) for name in Outcome.__slots__}
    return AttemptResult(attempt=Attempt(number=folder.number, **fields), recorded=recorded)


def _watch(child: Child, events: Path, patience: Timeouts, on_event: OnEvent) -> None:
    """Pass on events until the child has exited and every whole line is read.

    Raises:
        _GaveUp: it is hung, or has taken too long.
    """
    position, torn = 0, b""
    started = heard = time.monotonic()
    last: Event = {}
    while True:
        exited = child.exit_code() is not None
        if events.exists():
            with events.open("rb") as stream:
                stream.seek(position)
                data = stream.read()
                position += len(data)
            *lines, torn = (torn + data).split(b"\n")
            for line in lines:
                last, heard = json.loads(line), time.monotonic()
                on_event(last)
        if exited:
            return
        on_event(None)
        now = time.monotonic()
        allowed = patience.hang_s if last else max(patience.hang_s, _START_S)
        if now - heard > allowed:
            raise _GaveUp(
                "hung",
                "hung",
                f"no progress for {_duration(now - heard)}, {_where(last)}; its stacks are at the log's end",
            )
        if patience.total_s is not None and now - started > patience.total_s:
            raise _GaveUp(
                "timed_out",
                "time",
                f"reached limits.trial_hours, {_where(last)}; raise it and use --retry-failed to go on",
            )
        time.sleep(_POLL_S)


def _where(event: Event) -> str:
    """The place that a progress event tells of."""
    if event.get("event") == "step":
        return f"at epoch {event['epoch']}, step {event['step']} of {event['steps']}"
    return f"in stage {event['stage']}" if "stage" in event else "at its start"


def _why(code: int, log: Path) -> str:
    """A reason for a child that left no outcome."""
    if code < 0:
        hint = "; likely out of host memory" if -code == signal.SIGKILL else ""
        return f"killed by signal {-code} ({signal.Signals(-code).name}){hint}"
    last = _last_line(log)
    return f"exited with code {code} and left no outcome" + (f": {last}" if last else "")


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-_LAST_BYTES:].decode(errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else ""


def _duration(seconds: float) -> str:
    return f"{seconds / _MINUTE:.0f} min" if seconds >= _MINUTE else f"{seconds:.0f} s"
