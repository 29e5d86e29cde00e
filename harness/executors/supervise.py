"""Run attempts to their ends, wherever they run, and say how each ended. Written once, above every executor.

The attempt commits its record before it ends; its exit code is only a hint. So the supervisor looks into the folder
first, and writes an outcome only for an attempt that could not write one itself.
"""

from __future__ import annotations

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from harness import foreign
from harness.errors import HarnessError, Interrupted, MachineError
from harness.executors.base import AttemptResult, LostError
from harness.processes.watch import CLOCK, NoProgressError, OverTimeError, Watch, ignore_event, ignore_poll
from harness.store import files, record
from harness.store.events import PausedEvent, StepEvent, encode_event, paused_s, read_events
from harness.store.job import JOB, OUTCOME, Attempt, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.executors.base import Executor, RunningJob
    from harness.processes.watch import Clock, OnEvent, OnPoll, Timeouts
    from harness.store.events import Event
    from harness.store.job import Cause, Job, OutcomeName
    from harness.store.paths import AttemptFolder

GRACE_S = 20.0  # for a checkpoint after SIGTERM
_LAST_BYTES = 4000
_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """Runs attempts on an executor, as many at once as its caller starts.

    `check` is called before each attempt and at each poll; what it raises ends the attempt.
    """

    executor: Executor
    clock: Clock = CLOCK
    check: OnPoll = ignore_poll

    def run(
        self,
        job: Job,
        folder: AttemptFolder,
        timeouts: Timeouts,
        *,
        on_event: OnEvent = ignore_event,
        on_poll: OnPoll = ignore_poll,
    ) -> AttemptResult:
        """Run one attempt to its end; nothing of it is left running.

        Args:
            on_event: called with each event of the attempt.
            on_poll: called at each poll while it runs.

        Raises:
            MachineError: the attempt found that the machine cannot go on, or a file cannot be written.
            Interrupted: a signal asked this process to stop; the attempt has left a checkpoint, unless a second signal
                came.
        """
        attempt = self.start(job, folder, timeouts, on_event=on_event)
        try:
            while (result := attempt.step()) is None:
                on_poll()
                self.wait()
        except BaseException as error:
            interrupt([attempt], error)
            raise
        return result

    def wait(self) -> None:
        """Wait until it is time for the next step of each attempt."""
        self.check()
        self.clock.sleep(self.executor.poll_s)

    def start(
        self, job: Job, folder: AttemptFolder, timeouts: Timeouts, *, on_event: OnEvent = ignore_event
    ) -> RunningAttempt:
        """Start an attempt, whose `step` is to be called again and again until it has ended.

        Raises:
            MachineError: it cannot be started, or a file cannot be written.
        """
        self.check()
        files.sweep(folder.result.path)  # what an attempt before left that was killed while it wrote
        files.commit(folder.job, record.encode(JOB, job))
        end = _End(folder, self.clock)
        name = type(self.executor).__name__
        try:
            running = self.executor.submit(job, folder)
        except HarnessError:
            raise
        except Exception as error:  # of a user's own executor
            reason = f"the executor {name} failed: {foreign.described(error)}"
            end.commit("interrupted", "machine", reason)
            raise MachineError(reason) from error
        if not all(hasattr(running, method) for method in ("poll", "cancel", "dump_stacks")):
            reason = f"the executor {name} returned {foreign.shown(running)}, expected a running job"
            end.commit("interrupted", "machine", reason)
            raise MachineError(reason)
        return self._watched(running, folder, timeouts, end, on_event)

    def find(
        self, folder: AttemptFolder, timeouts: Timeouts, *, on_event: OnEvent = ignore_event
    ) -> RunningAttempt | None:
        """Return an attempt that an earlier run has left running; None where there is none, as with most executors."""
        running = self._left_running(folder)
        return None if running is None else self._watched(running, folder, timeouts, _End(folder, self.clock), on_event)

    def runs(self, folder: AttemptFolder) -> bool:
        """Return whether an earlier run has left this attempt running."""
        return self._left_running(folder) is not None

    def _left_running(self, folder: AttemptFolder) -> RunningJob | None:
        find = getattr(self.executor, "find", None)
        return None if find is None or folder.outcome.is_file() else cast("RunningJob | None", find(folder))

    def _watched(
        self, running: RunningJob, folder: AttemptFolder, timeouts: Timeouts, end: _End, on_event: OnEvent
    ) -> RunningAttempt:
        watched = Watch(
            running.poll,
            folder.events,
            timeouts,
            poll_s=self.executor.poll_s,
            on_event=on_event,
            on_pause=lambda paused_s: _note_pause(folder, paused_s),
            clock=self.clock,
        )
        return RunningAttempt(running, folder, watched, end)


class RunningAttempt:
    """An attempt that was started: it is looked at again and again, until it has ended."""

    def __init__(self, running: RunningJob, folder: AttemptFolder, watched: Watch, end: _End) -> None:
        self._running, self._folder, self._watch, self._end = running, folder, watched, end
        self._waits = getattr(running, "waits", lambda: False)

    def leave_out(self, seconds: float) -> None:
        """Count so many seconds, in which nobody could look at it, for no timeout."""
        self._watch.leave_out(seconds)

    def step(self) -> AttemptResult | None:
        """Pass on what is new; return how the attempt ended, once it has, and nothing of it is left running.

        Raises:
            MachineError: the attempt found that the machine cannot go on, or a file cannot be written.
            Interrupted: a signal asked this process to stop; `interrupt` is to be called.
        """
        try:
            if self._waits():
                self._watch.begin()
                self._end.begin()
            if self._watch.step() is None:
                return None
        except LostError as lost:
            if not self._folder.committed.is_file():  # else it was done, and nothing of it is lost
                self._end.commit("failed", "lost", str(lost))
        except NoProgressError as silence:
            self._running.dump_stacks()
            self._running.cancel(grace_s=0)
            place = f"no progress for {_duration(silence.silent_s)}, {_place(silence.last)}"
            self._end.commit("hung", "hung", f"{place}; its stacks are at the log's end")
        except OverTimeError as late:
            self._running.cancel(grace_s=GRACE_S)
            reason = f"reached limits.trial_hours, {_place(late.last)}; raise it and use --retry-failed to go on"
            self._end.commit("timed_out", "time", reason)
        self.clear()  # whatever it left behind would disturb the next trial
        return _result(self._running, self._folder, self._end)

    def stop(self, reason: str) -> None:
        """End it; it has a while to leave a checkpoint, and is then tried again by the next run."""
        self._running.cancel(grace_s=GRACE_S)
        with contextlib.suppress(HarnessError):  # what ended the run matters more
            self._end.commit("interrupted", "signal", reason)

    def clear(self) -> None:
        """See to it that nothing of it runs, and that nothing half written is left."""
        self._running.cancel(grace_s=0)
        files.sweep(self._folder.result.path)


def interrupt(attempts: Sequence[RunningAttempt], error: BaseException) -> None:
    """End all attempts at the same time, because of what ended the run; each may leave a checkpoint.

    A second signal meanwhile ends them at once.
    """
    number = error.number if isinstance(error, Interrupted) else signal.SIGINT
    by_signal = f"by {signal.Signals(number).name}" if isinstance(error, KeyboardInterrupt) else None
    stop_all(attempts, by_signal or f"the runner failed: {foreign.shown(error, foreign.MAX_CHARACTERS)}")


def stop_all(attempts: Sequence[RunningAttempt], reason: str) -> None:
    """End all attempts at the same time, for this reason; each may leave a checkpoint."""
    try:
        if len(attempts) == 1:  # here, for an executor may need the main thread
            attempts[0].stop(reason)
        elif attempts:
            with ThreadPoolExecutor(len(attempts)) as pool:
                stopping = [pool.submit(attempt.stop, reason) for attempt in attempts]
                try:
                    for one in stopping:
                        one.result()
                except BaseException:
                    for attempt in attempts:
                        attempt.clear()  # which cuts the waiting of the threads short
                    raise
    finally:
        for attempt in attempts:
            attempt.clear()


class _End:
    """Writes the outcome of an attempt that began when this was made."""

    def __init__(self, folder: AttemptFolder, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self.begin()

    def begin(self) -> None:
        """Count from now on: until now it waited for its place."""
        self._started_at, self._started = datetime.now(UTC).isoformat(timespec="seconds"), self._clock.now()

    def commit(self, outcome: OutcomeName, cause: Cause | None, reason: str | None) -> None:
        """Write it, unless the attempt has written its own."""
        ended = Outcome(
            outcome=outcome,
            reason=reason,
            retryable=outcome in {"failed", "hung", "interrupted"},
            started_at=self._started_at,
            wall_s=max(0.0, self._clock.now() - self._started - paused_s(read_events(self._folder.events))),
            cause=cause,
        )
        files.commit(self._folder.outcome, record.encode(OUTCOME, ended))


def _note_pause(folder: AttemptFolder, seconds: float) -> None:
    """Add the pause to the events of the attempt: whoever says how long it took leaves it out."""
    event = PausedEvent(time=datetime.now(UTC).isoformat(timespec="milliseconds"), paused_s=seconds)
    with contextlib.suppress(OSError), folder.events.open("a", encoding="utf-8") as stream:
        stream.write(encode_event(event))


def _result(running: RunningJob, folder: AttemptFolder, end: _End) -> AttemptResult:
    """Read how the attempt ended, and say so in its place where it was killed before it could.

    Raises:
        MachineError: the attempt found that the machine cannot go on.
    """
    recorded = folder.committed.is_file()
    if not folder.outcome.is_file():  # killed: before the commit of its record, or in the moment after it
        code = running.poll() or 0
        if recorded:
            end.commit("succeeded", None, None)
        else:  # whatever the code: a user's program may exit with any
            end.commit("failed", "killed" if code < 0 else "exception", _why(code, folder.log))
    outcome = record.decode(OUTCOME, folder.outcome.read_bytes(), str(folder.outcome))
    if outcome.cause == "machine":
        raise MachineError(outcome.reason or "the trial's process could not go on")
    values = {name: getattr(outcome, name) for name in Outcome.__slots__}
    return AttemptResult(attempt=Attempt(number=folder.number, **values), recorded=recorded)


def _place(event: Event | None) -> str:
    """Where an attempt was when it wrote this event."""
    if isinstance(event, StepEvent):
        return f"at epoch {event.epoch}, step {event.step} of {event.steps}"
    return f"in stage {event.stage}" if event is not None and event.stage else "at its start"


def _why(code: int, log: Path) -> str:
    """A reason for an attempt that left no outcome."""
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
