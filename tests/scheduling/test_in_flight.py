"""Several trials at once: as many as there are slots, each watched by itself, and all ended when the run is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.errors import Interrupted, MachineError, UsageError
from harness.executors.slots import Slot, divide
from harness.scheduling.plan import Plan
from harness.store import files, paths, record
from harness.store.events import PausedEvent, StageEvent, encode_event, read_events
from harness.store.job import OUTCOME, Job, Outcome
from tests.executors.scripted import FakeJob, RecordingExecutor, commit_made_record
from tests.store.make import make_attempt


@dataclass(kw_only=True)
class Side:
    """An executor whose attempts last for some polls each, and that remembers how many ran at once."""

    polls: Callable[[Job], int] = lambda _job: 3
    ends: Callable[[Job, paths.AttemptFolder], None] = lambda _job, folder: commit_made_record(folder.path)
    cancel_s: float = 0.0
    poll_s: float = 0.01
    jobs: list[Job] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    most: int = 0
    stopping: set[str] = field(default_factory=set)

    def submit(self, job: Job, folder: paths.AttemptFolder) -> FakeJob:
        self.jobs.append(job)
        self.running.add(job.trial.trial_id)
        self.most = max(self.most, len(self.running))
        left = self.polls(job)
        side = self

        @dataclass(kw_only=True)
        class Attempt(FakeJob):
            left: int

            def poll(self) -> int | None:
                self.left -= 1
                if self.left <= 0 and self.exit_code is None:
                    side.ends(job, folder)
                    self.exit_code = 0
                    side.running.discard(job.trial.trial_id)
                return self.exit_code

            def cancel(self, *, grace_s: float) -> None:
                if self.exit_code is None and grace_s:
                    side.stopping.add(job.trial.trial_id)
                    time.sleep(side.cancel_s)
                super().cancel(grace_s=grace_s)
                side.running.discard(job.trial.trial_id)

        return Attempt(left=left)


@pytest.fixture
def plan(tiny_suite: Callable[..., Path], tmp_path: Path) -> Callable[..., Plan]:
    def made(*, seeds: int = 6, slots: int = 3, limits: str = "") -> Plan:
        suite = tiny_suite()
        suite.write_text(f"{suite.read_text()}seeds: {list(range(seeds))}\n{limits}")
        return api.plan(suite, results=tmp_path / "r", device="cpu", cpu_slots=slots)

    return made


def _outcomes(plan: Plan) -> list[Outcome]:
    return [
        record.decode(OUTCOME, attempt.outcome.read_bytes(), "x")
        for trial in plan.trials
        for attempt in plan.folder.trial(trial.trial_id).attempts()
        if attempt.outcome.exists()
    ]


def _run(plan: Plan, executor: Any, **options: Any) -> api.RunSummary:
    return api.run(plan, executor=executor, preflight=False, race=False, **options)


def test_cores_are_divided_among_the_slots() -> None:
    """At least one each; the first slots are on different devices."""
    assert divide(("cpu",), per_device=1, cores=8) == (Slot(device="cpu", threads=8),)
    assert divide(("cuda:0", "cuda:2"), per_device=2, cores=9) == tuple(
        Slot(device=device, threads=2) for device in ("cuda:0", "cuda:2", "cuda:0", "cuda:2")
    )
    assert divide(("cpu",), per_device=4, cores=2) == (Slot(device="cpu", threads=1),) * 4


def test_as_many_run_at_once_as_there_are_slots(plan: Callable[..., Plan]) -> None:
    """Never more, never fewer while there is work; each trial has one attempt and its record."""
    side = Side()
    summary = _run(plan(), side)
    assert (summary.succeeded, summary.failed, side.most, len(side.jobs)) == (6, 0, 3, 6)
    assert len({job.trial.trial_id for job in side.jobs}) == 6


def test_each_runs_on_the_device_of_its_slot(plan: Callable[..., Plan], tiny_suite: Any, tmp_path: Path) -> None:
    """A GPU that is free again gets the next trial."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2, 3, 4]\n")
    planned = api.plan(suite, results=tmp_path / "g", devices=("cuda:0", "cuda:3"))
    assert [slot.device for slot in planned.slots] == ["cuda:0", "cuda:3"]
    side = Side(polls=lambda job: 50 if job.trial.seed == 0 else 3)
    _run(planned, side)
    assert [job.device for job in side.jobs] == ["cuda:0", "cuda:3", "cuda:3", "cuda:3", "cuda:3"]


def test_a_failed_attempt_is_tried_again_in_its_slot(plan: Callable[..., Plan]) -> None:
    """While the others go on."""

    def ends(job: Job, folder: paths.AttemptFolder) -> None:
        if job.trial.seed == 1 and job.number == 1:
            killed = make_attempt("failed", "killed", number=1, cause="killed", retryable=True)
            files.commit(folder.outcome, record.encode(OUTCOME, killed))
        else:
            commit_made_record(folder.path)

    side = Side(ends=ends)
    summary = _run(plan(), side)
    assert (summary.succeeded, len(side.jobs), side.most) == (6, 7, 3)


def test_a_signal_ends_all_of_them_at_the_same_time(plan: Callable[..., Plan]) -> None:
    """Each has its seconds for a checkpoint, and they have them together; the outcomes say who ended them."""
    planned = plan(slots=3)
    side = Side(polls=lambda _job: 10**9, cancel_s=1.0)

    class Signalled:
        def __getattr__(self, name: str) -> Callable[..., None]:
            def hear(*_: object) -> None:
                if name == "poll" and len(side.running) == 3:
                    raise Interrupted(15)

            return hear

    observers: Any = (Signalled(),)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _run(planned, side, observers=observers)
    assert time.monotonic() - began < 2.9  # three in turn would take three seconds
    assert len(side.stopping) == 3
    assert [(one.outcome, one.reason) for one in _outcomes(planned)] == [("interrupted", "by SIGTERM")] * 3
    assert threading.active_count() < 20


def test_fail_fast_ends_those_that_run(plan: Callable[..., Plan]) -> None:
    """They count as not tried, and the next run goes on with them."""
    planned = plan(slots=2)

    def ends(job: Job, folder: paths.AttemptFolder) -> None:
        failed = make_attempt("failed", "as made", number=1, cause="error", retryable=False)
        files.commit(folder.outcome, record.encode(OUTCOME, failed))

    side = Side(polls=lambda job: 3 if job.trial.seed == 0 else 10**9, ends=ends)
    summary = _run(planned, side, fail_fast=True)
    assert (summary.failed, summary.not_started, len(side.jobs)) == (1, 5, 2)
    assert sorted(one.outcome for one in _outcomes(planned)) == ["failed", "interrupted"]
    assert _run(planned, Side()).succeeded == 5


def test_what_the_machine_cannot_do_ends_all_of_them(plan: Callable[..., Plan]) -> None:
    """A full disk, say: no trial is left running."""
    planned = plan(slots=2)

    def ends(job: Job, folder: paths.AttemptFolder) -> None:
        full = make_attempt("interrupted", "the disk is full", number=1, cause="machine", retryable=True)
        files.commit(folder.outcome, record.encode(OUTCOME, full))

    side = Side(polls=lambda job: 3 if job.trial.seed == 0 else 10**9, ends=ends)
    with pytest.raises(MachineError, match="the disk is full"):
        _run(planned, side)
    assert not side.running


def test_one_that_takes_long_to_end_is_no_pause_of_the_others(plan: Callable[..., Plan]) -> None:
    """Nor is a long report: neither is counted as a pause of the machine, or as silence."""
    planned = plan(seeds=2, slots=2, limits="limits: {hang_minutes: 0.02}\n")
    folders: list[paths.AttemptFolder] = []

    @dataclass(kw_only=True)
    class Slow(Side):
        def submit(self, job: Job, folder: paths.AttemptFolder) -> FakeJob:
            folders.append(folder)
            files.make_folder(folder.path)
            folder.events.write_text(encode_event(StageEvent(stage="train")))
            return super().submit(job, folder)

    def ends(job: Job, folder: paths.AttemptFolder) -> None:
        if job.trial.seed == 0:
            time.sleep(2.0)
        commit_made_record(folder.path)

    summary = _run(planned, Slow(polls=lambda job: 3 if job.trial.seed == 0 else 60, ends=ends, poll_s=0.01))
    assert summary.succeeded == 2
    second = next(folder for folder in folders if "-s1-" in str(folder.path))
    assert not any(isinstance(event, PausedEvent) for event in read_events(second.events))


def test_real_processes_side_by_side(plan: Callable[..., Plan]) -> None:
    """Eight trials in four slots: a record each, and one attempt each."""
    planned = plan(seeds=8, slots=4)
    summary = _run(planned, RecordingExecutor())
    assert (summary.succeeded, summary.failed) == (8, 0)
    assert len(_outcomes(planned)) == 8


def test_one_at_a_time_is_said(plan: Callable[..., Plan]) -> None:
    """An executor that works in this process cannot run two."""
    with pytest.raises(UsageError, match="InlineExecutor runs one trial at a time, and 3 are asked for"):
        _run(plan(), "inline")
