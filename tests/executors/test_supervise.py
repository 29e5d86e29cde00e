"""However an attempt ends, it has an outcome with a reason, in bounded time, and nothing of it lives on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Interrupted, MachineError
from harness.executors import supervise
from harness.executors.base import AttemptResult
from harness.processes.watch import Timeouts
from harness.store import paths, record
from harness.store.events import Event, PausedEvent, StageEvent, encode_event, read_events
from harness.store.job import OUTCOME, Job, Outcome
from tests.clock import SteppedClock
from tests.executors.scripted import FakeExecutor, FakeJob, Scripts, scripts
from tests.store.make import make_trial

GRACE_S = 20.0


_NO_OUTCOME = "exited with code {} and left no outcome"


@pytest.fixture
def script(tmp_path: Path) -> Scripts:
    return scripts(tmp_path)


def _outcome(folder: paths.AttemptFolder) -> Outcome:
    return record.decode(OUTCOME, folder.outcome.read_bytes(), "x")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "killed by signal 9 (SIGKILL); likely out of host memory"),
        ("sys.exit(4)", "exited with code 4 and left no outcome"),
        ("print('last words', flush=True); os._exit(3)", f"{_NO_OUTCOME.format(3)}: last words"),
        *((f"os._exit({code})", _NO_OUTCOME.format(code)) for code in (1, 2, 3, 5, 130, 143, 255)),
        ("os.abort()", "killed by signal 6 (SIGABRT)"),
        ("sys.exit(0)", "exited with code 0 and left no outcome"),
        ("print('first'); sys.exit('the last line')", "exited with code 1 and left no outcome: the last line"),
    ],
)
def test_a_child_that_writes_no_outcome_gets_one_with_a_reason(code: str, reason: str, script: Scripts) -> None:
    """Signals are named, exit codes come with the log's last line; the outcome is on disk.

    No exit code stops the run, though it may be one of ours: a user's program can exit with any.
    """
    result, folder = script.run(code)
    assert (result.attempt.outcome, result.attempt.reason, result.recorded) == ("failed", reason, False)
    assert _outcome(folder).reason == reason


def test_grandchildren_end_with_the_child(script: Scripts) -> None:
    """A data-loader worker left behind would disturb the next trial's measurement."""
    code = "import subprocess\np = subprocess.Popen(('sleep', '600'))\nprint(p.pid, flush=True)"
    _, folder = script.run(code)
    pid = int(folder.log.read_text())
    for _ in range(50):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the grandchild lives on")


def test_the_machine_stops_the_run(script: Scripts) -> None:
    """An attempt that found the machine unfit raises MachineError with its own words."""
    code = """
import json
json.dump({"outcome": "interrupted", "reason": "no such device", "retryable": True, "started_at": "", "wall_s": 1.0,
           "cause": "machine"},
          open(folder + '/outcome.json', 'w'))
sys.exit(3)
"""
    with pytest.raises(MachineError, match="no such device"):
        script.run(code)


def test_an_interruption_ends_the_child_and_is_recorded(script: Scripts) -> None:
    """Ctrl-C: the child is gone, the attempt is marked interrupted, and the exception goes on."""

    def interrupt(_event: Event) -> None:
        raise KeyboardInterrupt

    code = """
open(folder + '/events.jsonl', 'w').write('{"event": "x"}\\n')
print(os.getpid(), flush=True)
time.sleep(600)
"""
    with pytest.raises(KeyboardInterrupt):
        script.run(code, on_event=interrupt)
    (folder,) = script.trial.attempts()
    assert _outcome(folder).outcome == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(int(folder.log.read_text()), 0)


def _supervise(
    tmp_path: Path, job: FakeJob, clock: SteppedClock, *, hang_s: float = 600, total_s: float | None = None
) -> tuple[AttemptResult, paths.AttemptFolder]:
    folder = paths.TrialFolder(tmp_path / "trial").next_attempt()
    supervisor = supervise.Supervisor(executor=FakeExecutor(job=job), clock=clock.clock())
    asked = Job(trial=make_trial(), number=folder.number, device="cpu", threads=1, import_folder="/")
    return supervisor.run(asked, folder, Timeouts(hang_s=hang_s, total_s=total_s)), folder


class _BrokenExecutor:
    """An executor of a user's that cannot submit, or that returns something else than a running job."""

    poll_s = 0.1

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def submit(self, job: Job, folder: paths.AttemptFolder) -> Any:
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("the queue is full"), "the executor _BrokenExecutor failed: RuntimeError: the queue is full"),
        (None, "the executor _BrokenExecutor returned None, expected a running job"),
    ],
)
def test_an_executor_that_fails_stops_the_run_with_a_sentence(
    error: Exception | None, reason: str, tmp_path: Path
) -> None:
    """The attempt is interrupted, not failed: another executor may run it."""
    folder = paths.TrialFolder(tmp_path / "trial").next_attempt()
    job = Job(trial=make_trial(), number=folder.number, device="cpu", threads=1, import_folder="/")
    with pytest.raises(MachineError, match=reason):
        supervise.Supervisor(executor=_BrokenExecutor(error)).run(job, folder, Timeouts(hang_s=60, total_s=None))
    assert (_outcome(folder).outcome, _outcome(folder).reason) == ("interrupted", reason)


def test_a_hung_attempt_ends_at_once_with_its_stacks(tmp_path: Path) -> None:
    """On a stepped clock: one poll after its last permitted second, without a grace that it could not use."""
    clock, job = SteppedClock(), FakeJob()
    result, folder = _supervise(tmp_path, job, clock, hang_s=600)
    assert 600 < clock.time_s - 1000 <= 601
    assert job.dumps == 1
    assert set(job.graces) == {0}
    assert (result.attempt.outcome, result.attempt.cause, result.attempt.retryable) == ("hung", "hung", True)
    assert result.attempt.reason == "no progress for 10 min, at its start; its stacks are at the log's end"
    assert _outcome(folder).wall_s == pytest.approx(clock.time_s - 1000)


def test_an_attempt_has_a_minute_for_its_start(tmp_path: Path) -> None:
    """Importing takes longer than a short `hang_minutes`; after the first event that counts."""
    clock = SteppedClock()
    _supervise(tmp_path / "silent", FakeJob(), clock, hang_s=6)
    assert 60 < clock.time_s - 1000 <= 61

    clock = SteppedClock()
    events = paths.TrialFolder(tmp_path / "started" / "trial").path / "attempts" / "1" / "events.jsonl"

    def write_one_event() -> None:
        if not events.exists():
            events.write_text(encode_event(StageEvent(stage="train")))

    result, _ = _supervise(tmp_path / "started", FakeJob(on_poll=write_one_event), clock, hang_s=6)
    assert 6 < clock.time_s - 1000 <= 7
    assert "in stage train" in (result.attempt.reason or "")


def test_an_attempt_past_its_hours_may_leave_a_checkpoint(tmp_path: Path) -> None:
    """However much progress it makes; it is asked first, has its grace, and is not tried again."""
    clock = SteppedClock()
    events = tmp_path / "trial" / "attempts" / "1" / "events.jsonl"

    def write_event() -> None:
        with events.open("a") as stream:
            stream.write(
                '{"event": "step", "epoch": 2, "epochs": 3, "step": 3, "steps": 9, "loss": 1, "images_per_s": 1}\n'
            )

    job = FakeJob(on_poll=write_event)
    result, _ = _supervise(tmp_path, job, clock, hang_s=6, total_s=720)
    assert 720 < clock.time_s - 1000 <= 721
    assert job.graces[0] == GRACE_S
    assert (result.attempt.outcome, result.attempt.cause, result.attempt.retryable) == ("timed_out", "time", False)
    assert result.attempt.reason is not None
    assert result.attempt.reason.startswith("reached limits.trial_hours, at epoch 2, step 3 of 9")


def test_a_pause_is_in_no_ones_time(tmp_path: Path) -> None:
    """Neither a hang nor too long; what the attempt took leaves it out, and its events say how long it was."""
    clock = SteppedClock()
    events = tmp_path / "trial" / "attempts" / "1" / "events.jsonl"

    def work() -> None:
        with events.open("a") as stream:
            stream.write(encode_event(StageEvent(stage="train")))
        if clock.time_s == 1100:
            clock.time_s += 8 * 3600

    result, folder = _supervise(tmp_path, FakeJob(on_poll=work), clock, hang_s=6, total_s=720)
    assert result.attempt.outcome == "timed_out"
    assert 720 < result.attempt.wall_s <= 722
    assert 8 * 3600 + 720 < clock.time_s - 1000 <= 8 * 3600 + 722
    assert [e.paused_s for e in read_events(folder.events) if isinstance(e, PausedEvent)] == [8 * 3600]


@pytest.mark.parametrize("error", [Interrupted(15), KeyboardInterrupt(), RuntimeError("a fault of ours")])
def test_a_signal_gives_a_checkpoint_twenty_seconds(tmp_path: Path, error: BaseException) -> None:
    """So that SIGINT ends a run within thirty; the outcome says what stopped it, and the exception goes on."""

    def fail() -> None:
        raise error

    job = FakeJob(on_poll=fail)
    with pytest.raises(type(error)):
        _supervise(tmp_path, job, SteppedClock())
    assert job.graces == [GRACE_S, 0]
    outcome = _outcome(paths.TrialFolder(tmp_path / "trial").attempts()[0])
    assert (outcome.outcome, outcome.cause, outcome.retryable) == ("interrupted", "signal", True)
    reasons = {Interrupted: "by SIGTERM", KeyboardInterrupt: "by SIGINT"}
    reason = reasons.get(type(error), f"the runner failed: {error!r}")
    assert outcome.reason == reason


def test_a_second_signal_cuts_the_grace_short(tmp_path: Path) -> None:
    """It comes while the checkpoint is awaited: the attempt is ended at once all the same."""

    class Impatient(FakeJob):
        def cancel(self, *, grace_s: float) -> None:
            super().cancel(grace_s=grace_s)
            if grace_s:
                raise Interrupted(2, again=True)

    def interrupt() -> None:
        raise Interrupted(2)

    job = Impatient(on_poll=interrupt)
    with pytest.raises(Interrupted) as raised:
        _supervise(tmp_path, job, SteppedClock())
    assert raised.value.again
    assert job.graces == [GRACE_S, 0]


@pytest.mark.parametrize("write_record", [True, False])
def test_the_record_is_the_truth(tmp_path: Path, *, write_record: bool) -> None:
    """Killed in the moment after the commit of its record, an attempt has succeeded; without a record it has not."""

    def commit() -> None:
        if write_record:
            (tmp_path / "trial" / "record.json").touch()

    job = FakeJob(exit_code=-9, on_poll=commit)
    result, _ = _supervise(tmp_path, job, SteppedClock())
    assert result.recorded is write_record
    assert result.attempt.outcome == ("succeeded" if write_record else "failed")
