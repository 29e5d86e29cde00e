"""What a run does when memory or time runs out, and when trials fail."""

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
from harness.executors import base, local
from harness.observers.plain import PlainView
from harness.scheduling.plan import Plan
from harness.store import files, paths, record
from harness.store.job import JOB, OUTCOME, PREFLIGHT, Cause, Job, Outcome, OutcomeName, Preflight
from tests.store.make import make_attempt

ERROR: tuple[OutcomeName, Cause] = ("failed", "error")


class _Attempts:
    """In the place of real attempts: ends each as it is told, and remembers what was asked for."""

    def __init__(self, *outcomes: tuple[OutcomeName, Cause | None], traceback: str | None = None) -> None:
        self._outcomes, self._traceback = list(outcomes), traceback
        self.asked: list[Job] = []

    def run(self, job: Job, into: paths.AttemptFolder, _patience: object, *, on_event: object) -> base.AttemptResult:
        self.asked.append(job)
        outcome, cause = self._outcomes.pop(0)
        files.commit(into.job, record.encode(JOB, job))
        ended = make_attempt(
            outcome, "as told", number=into.number, cause=cause, retryable=False, traceback=self._traceback
        )
        fields = {name: getattr(ended, name) for name in Outcome.__slots__}
        files.commit(into.outcome, record.encode(OUTCOME, Outcome(**fields)))
        return base.AttemptResult(attempt=ended, recorded=False)


def _run(plan: Plan, **options: Any) -> tuple[api.RunSummary, str]:
    stream = io.StringIO()
    summary = api.run(plan, observers=(PlainView(Console(file=stream, width=200)),), **options)
    return summary, stream.getvalue()


@pytest.mark.parametrize("policy", ["fail", "accumulate"])
def test_out_of_memory_is_tried_in_more_parts_where_wished(
    policy: str, tiny_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`on_oom: accumulate`: in the rehearsal already, once, and the trial then passes its batch as that did."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}on_oom: {policy}\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    attempts = _Attempts(("out_of_memory", "memory"), ("rehearsed", None), ("failed", "error"))
    monkeypatch.setattr(local, "run_attempt", attempts.run)
    summary, said = _run(plan)
    assert summary.failed == 1
    if policy == "fail":
        assert [asked.accumulate for asked in attempts.asked] == [1]
    else:
        assert [asked.accumulate for asked in attempts.asked] == [1, 2, 2]
        assert [asked.rehearsal is not None for asked in attempts.asked] == [True, True, False]
        assert "out of memory: as told; it is tried again" in said


def test_a_night_that_is_over_starts_nothing(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Too late: every trial is named as left for lack of time, none failed; of unknown length it is refused."""
    plan = api.plan(tiny_suite(), results=tmp_path / "r", device="cpu")
    until = datetime.now(UTC) + timedelta(seconds=30)
    with pytest.raises(UsageError, match="leave --no-rehearsal out"):
        _run(plan, preflight=False, until=until)
    rehearsed = Preflight(
        where=plan.where, startup_s=60.0, step_s=1.0, evaluation_s=1.0, steps=9, evaluations=9, images=3,
        state_bytes=9, weights_bytes=9, accumulate=1,
    )  # fmt: skip
    folder = plan.folder.trial(plan.trials[0].trial_id)
    files.make_folder(folder.path)
    files.replace(folder.rehearsal, record.encode(PREFLIGHT, rehearsed))
    summary, _ = _run(plan, until=until)
    assert summary.skipped_for_time == tuple(trial.trial_id for trial in plan.trials)
    assert (summary.failed, summary.succeeded, summary.not_started) == (0, 0, 0)


def test_fail_fast_stops_at_the_first_failure(
    tiny_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt, and the rest is counted as left; without it every trial has its turn."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2]\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    attempts = _Attempts(*[ERROR] * 3)
    monkeypatch.setattr(local, "run_attempt", attempts.run)
    summary, _ = _run(plan, preflight=False, fail_fast=True)
    assert (summary.failed, summary.not_started, len(attempts.asked)) == (1, 2, 1)
    summary, said = _run(plan, preflight=False)
    assert (summary.failed, summary.given_up, summary.not_started, len(attempts.asked)) == (3, 1, 0, 3)
    assert "is not tried again: it failed: as told" in said


def test_three_alike_stop_the_suite(
    tiny_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three trials in a row with the same traceback in their first minute: the others are not tried, and told why."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2, 3, 4]\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    attempts = _Attempts(*[ERROR] * 3, traceback="Traceback\n  File x\nKeyError: 'left_out'")
    monkeypatch.setattr(local, "run_attempt", attempts.run)
    with pytest.raises(RepeatedError, match=r"same traceback, so the other 2 were not tried: as told; mend it"):
        _run(plan, preflight=False)
    page = (plan.folder.report).read_text()
    assert "0 of 5 trials measured, **3 failed**, 2 left" in page
    assert "**failed, 3 trials:** as told" in page
    assert "KeyError: 'left_out'" in page


def test_three_that_differ_do_not(
    tiny_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures without a traceback, such as kills, say nothing of the next trial."""
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}seeds: [0, 1, 2, 3, 4]\n")
    plan = api.plan(suite, results=tmp_path / "r", device="cpu")
    monkeypatch.setattr(local, "run_attempt", _Attempts(*[ERROR] * 5).run)
    assert _run(plan, preflight=False)[0].failed == 5
