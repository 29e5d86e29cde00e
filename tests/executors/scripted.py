"""Executors for tests that need no trial: each attempt ends as the test says, or is a script of the test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.executors import base
from harness.executors.local import LocalExecutor
from harness.executors.supervise import Supervisor
from harness.processes.watch import CLOCK, Clock, OnEvent, Timeouts, ignore_event
from harness.store import files, paths, record
from harness.store.job import JOB, OUTCOME, Cause, Job, OutcomeName
from harness.store.race import BLOCK
from tests.store.make import make_attempt, make_record, make_trial
from tests.store.make_race import make_result

ROOT = Path(__file__).parents[2]


@dataclass(kw_only=True)
class FakeJob:
    """An attempt that a test ends. Counts how it was cancelled."""

    exit_code: int | None = None
    on_poll: Callable[[], None] = lambda: None
    graces: list[float] = field(default_factory=list)
    dumps: int = 0

    def poll(self) -> int | None:
        self.on_poll()
        return self.exit_code

    def cancel(self, *, grace_s: float) -> None:
        self.graces.append(grace_s)
        self.exit_code = self.exit_code if self.exit_code is not None else -9

    def dump_stacks(self) -> None:
        self.dumps += 1


@dataclass(kw_only=True)
class FakeExecutor:
    """Submits a job that the test has made."""

    job: FakeJob
    poll_s: float = 0.5

    def submit(self, job: Job, folder: paths.AttemptFolder) -> FakeJob:
        return self.job


class ScriptedExecutor:
    """Ends attempt after attempt as it was told, and remembers the jobs that it was asked for."""

    poll_s = 0.0

    def __init__(self, *outcomes: tuple[OutcomeName, Cause | None], traceback: str | None = None) -> None:
        self._outcomes, self._traceback = list(outcomes), traceback
        self.jobs: list[Job] = []

    def submit(self, job: Job, folder: paths.AttemptFolder) -> FakeJob:
        self.jobs.append(job)
        outcome, cause = self._outcomes.pop(0)
        ended = make_attempt(
            outcome, "as scripted", number=folder.number, cause=cause, retryable=False, traceback=self._traceback
        )
        files.commit(folder.outcome, record.encode(OUTCOME, ended))
        return FakeJob(exit_code=1)


class MadeExecutor:
    """Ends every attempt at once as if it had gone well, with made numbers: preflights, trials, turns of races.

    Args:
        latency_s: what a turn of a race measures, or how it fails; it may raise, as the supervisor's watching does.
    """

    poll_s = 0.0

    def __init__(self, latency_s: Callable[[Job], float | OutcomeName] = lambda _job: 0.02) -> None:
        self._latency_s = latency_s
        self.jobs: list[Job] = []

    @property
    def turns(self) -> list[str]:
        """The trials that raced, in order."""
        return [job.trial.trial_id for job in self.jobs if job.race is not None]

    def submit(self, job: Job, folder: paths.AttemptFolder) -> FakeJob:
        self.jobs.append(job)
        if job.race is None:
            if not job.preflight:
                weights = folder.trial.checkpoints / "weights.pt"
                files.make_folder(weights.parent)
                weights.write_bytes(b"made")
            commit_made_record(folder.path)
            return FakeJob(exit_code=0)

        def end() -> None:
            if not folder.outcome.exists():
                commit_turn(folder, job, self._latency_s(job))

        return FakeJob(on_poll=end, exit_code=0)


def commit_turn(folder: paths.AttemptFolder, job: Job, measured: float | OutcomeName) -> None:
    """Do what the process of a race's turn does at its end."""
    outcome: OutcomeName = "succeeded" if isinstance(measured, float) else measured
    if isinstance(measured, float):
        result = make_result(job.trial.trial_id, measured, variant=job.variant or record.AS_TRAINED)
        files.commit(folder.committed, record.encode(BLOCK, result))
    ended = make_attempt(outcome, None if isinstance(measured, float) else "as scripted", retryable=False)
    files.commit(folder.outcome, record.encode(OUTCOME, ended))


class RecordingExecutor:
    """The local executor; its processes import no torch, and commit the record of a trial that they did not run."""

    poll_s = 0.02

    def submit(self, job: Job, folder: paths.AttemptFolder) -> base.RunningJob:
        code = (
            f"import pathlib, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from tests.executors.scripted import commit_made_record\ncommit_made_record(pathlib.Path(sys.argv[1]))"
        )
        return LocalExecutor(program=("-c", code)).submit(job, folder)


def commit_made_record(attempt: Path) -> None:
    """Do what a trial's process does at its end."""
    folder = paths.AttemptFolder(attempt)
    job = record.decode(JOB, folder.job.read_bytes(), str(folder.job))
    if not job.preflight:
        files.commit(folder.trial.record, record.encode(record.RECORD, make_record(job.trial)))
    outcome: OutcomeName = "preflight_passed" if job.preflight else "succeeded"
    ended = make_attempt(outcome, None, number=folder.number, retryable=False)
    files.commit(folder.outcome, record.encode(OUTCOME, ended))


@dataclass(frozen=True, kw_only=True)
class Scripts:
    """Runs python code in the place of a trial; everything else is real. The code finds its folder in `folder`."""

    trial: paths.TrialFolder
    poll_s: float = 0.02

    def run(
        self,
        code: str,
        *,
        on_event: OnEvent = ignore_event,
        hang_s: float = 60,
        total_s: float | None = None,
        clock: Clock = CLOCK,
    ) -> tuple[base.AttemptResult, paths.AttemptFolder]:
        script = f"import os, sys, time\nfolder = sys.argv[1]\n{code}"
        executor = LocalExecutor(program=("-c", script), poll_s=self.poll_s)
        folder = self.trial.next_attempt()
        job = Job(trial=make_trial(), number=folder.number, device="cpu", threads=1, import_folder="/")
        timeouts = Timeouts(hang_s=hang_s, total_s=total_s)
        result = Supervisor(executor=executor, clock=clock).run(job, folder, timeouts, on_event=on_event)
        return result, folder


def scripts(tmp_path: Path) -> Scripts:
    """Scripts whose attempts lie in a folder of the test's."""
    return Scripts(trial=paths.TrialFolder(tmp_path / "trial"))
