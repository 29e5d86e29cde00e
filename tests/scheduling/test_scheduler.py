"""What a run does between two attempts: out of memory, time that is up, failures that repeat."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import api
from harness.errors import RepeatedError, UsageError
from harness.executors import base
from harness.observers.plain import PlainView
from harness.scheduling.plan import Plan
from harness.store import files, paths, record
from harness.store.job import PREFLIGHT, Cause, ItemsRead, Job, OutcomeName, Preflight
from tests.conftest import TOY
from tests.executors.scripted import FakeJob, ScriptedExecutor

ERROR: tuple[OutcomeName, Cause] = ("failed", "error")


def _run(plan: Plan, executor: base.Executor, **options: Any) -> tuple[api.RunSummary, str]:
    stream = io.StringIO()
    view = PlainView(Console(file=stream, width=200))
    summary = api.run(plan, device="cpu", executor=executor, observers=(view,), **options)
    return summary, stream.getvalue()


@pytest.mark.parametrize("policy", ["fail", "accumulate"])
def test_out_of_memory_is_tried_in_more_parts_where_wished(
    policy: str, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """`on_oom: accumulate`: in the preflight already, once, and the trial then passes its batch as that did."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}on_oom: {policy}\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    attempts = ScriptedExecutor(("out_of_memory", "memory"), ("preflight_passed", None), ("failed", "error"))
    summary, printed = _run(plan, attempts)
    assert summary.failed == 1
    if policy == "fail":
        assert [job.accumulate for job in attempts.jobs] == [1]
    else:
        assert [job.accumulate for job in attempts.jobs] == [1, 2, 2]
        assert [job.preflight is not None for job in attempts.jobs] == [True, True, False]
        assert "out of memory: as scripted; it is tried again" in printed


def test_a_run_whose_time_is_up_starts_nothing(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Too late: every trial is named as left for lack of time, none failed; of unknown length it is refused."""
    plan = api.plan(tiny_suite(), results=tmp_path / "r", device="cpu")
    until = datetime.now(UTC) + timedelta(seconds=30)
    with pytest.raises(UsageError, match="leave --no-preflight out"):
        _run(plan, ScriptedExecutor(), preflight=False, until=until)
    measured = Preflight(
        where=plan.where, startup_s=60.0, step_s=1.0, evaluation_s=1.0, steps=9, evaluations=9, images=3,
        state_bytes=9, weights_bytes=9, accumulate=1,
    )  # fmt: skip
    folder = plan.folder.trial(plan.trials[0].trial_id)
    files.make_folder(folder.path)
    files.replace(folder.preflight, record.encode(PREFLIGHT, measured))
    summary, _ = _run(plan, ScriptedExecutor(), until=until)
    assert summary.skipped_for_time == tuple(trial.trial_id for trial in plan.trials)
    assert (summary.failed, summary.succeeded, summary.not_started) == (0, 0, 0)


def test_fail_fast_stops_at_the_first_failure(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """One attempt, and the rest is counted as left; without it every trial has its turn."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2]\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    attempts = ScriptedExecutor(*[ERROR] * 3)
    summary, _ = _run(plan, attempts, preflight=False, fail_fast=True)
    assert (summary.failed, summary.not_started, len(attempts.jobs)) == (1, 2, 1)
    summary, printed = _run(plan, attempts, preflight=False)
    assert (summary.failed, summary.given_up, summary.not_started, len(attempts.jobs)) == (3, 1, 0, 3)
    assert "is not tried again: it failed: as scripted" in printed


def test_three_alike_stop_the_suite(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Three trials in a row with the same traceback in their first minute: the others are not tried, and told why."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2, 3, 4]\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    attempts = ScriptedExecutor(*[ERROR] * 3, traceback="Traceback\n  File x\nKeyError: 'left_out'")
    with pytest.raises(RepeatedError, match=r"same traceback, so the other 2 were not tried: as scripted; mend it"):
        _run(plan, attempts, preflight=False)
    page = (plan.folder.report).read_text()
    assert "0 of 5 trials measured, **3 failed**, 2 left" in page
    assert "**failed, 3 trials:** as scripted" in page
    assert "KeyError: 'left_out'" in page


def test_three_that_differ_do_not(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Failures without a traceback, such as kills, say nothing of the next trial."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2, 3, 4]\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    assert _run(plan, ScriptedExecutor(*[ERROR] * 5), preflight=False)[0].failed == 5


def test_the_items_of_a_dataset_are_read_once_a_resize(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """What the first preflight on a `python` dataset read is told to the others with the same resize."""
    (tmp_path / "own.py").write_text("class Own: pass\n")
    own = "  own: {format: python, classes: [a], train: {dataset: own.py:Own}, val: {dataset: own.py:Own}}\n"
    other = TOY.replace("min: 64, max: 64", "min: 32, max: 64")
    suite = tiny_suite(datasets=own, architectures=TOY + other)
    suite.write_text(f"{suite.read_text()}sweep: {{batch_size: [1, 2]}}\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    read = ItemsRead(read=3, of=3, largest=(1, 0), smallest=(0, 1))

    class Reading(ScriptedExecutor):
        """Leaves a preflight's measurements, as a trial's process does."""

        def submit(self, job: Job, folder: paths.AttemptFolder) -> FakeJob:
            measured = Preflight(
                where=plan.where, startup_s=1.0, step_s=1.0, evaluation_s=1.0, steps=9, evaluations=9, images=3,
                state_bytes=9, weights_bytes=9, accumulate=1, items=job.items or read,
            )  # fmt: skip
            if job.preflight:
                files.replace(folder.trial.preflight, record.encode(PREFLIGHT, measured))
            return super().submit(job, folder)

    passed: tuple[OutcomeName, None] = ("preflight_passed", None)
    executor = Reading(*[passed] * 4, *[ERROR] * 4)
    _run(plan, executor)
    told = [(job.trial.architecture.image_size.min, job.items) for job in executor.jobs if job.preflight]
    assert sorted(told, key=lambda pair: (pair[0], pair[1] is not None)) == [
        (32, None),
        (32, read),
        (64, None),
        (64, read),
    ]
    assert all(job.items is None for job in executor.jobs if not job.preflight)
