"""A record cut off anywhere is told and set aside: never a crash, never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import api
from harness.errors import UsageError
from harness.store import results
from tests.executors.scripted import ScriptedExecutor
from tests.store.make import make_folder, make_record, make_trial


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_record_cut_anywhere_is_told(tmp_path: Path, step: int) -> None:
    """The trial counts as not measured, with file and fault, at each offset or each seventh; whole again it counts."""
    made = make_record(make_trial())
    folder = make_folder(tmp_path, [made])
    path = folder.trial(made.trial.trial_id).record
    whole = path.read_bytes()
    told = []
    for length in range(0, len(whole.rstrip()), step):
        path.write_bytes(whole[:length])
        (state,) = results.read_results(folder)
        assert state.record is None, length
        assert state.problem is not None, length
        assert str(path) in state.problem
        told.append(state.problem)
    assert all("cannot be read" in problem for problem in told)
    for length in (0, 1, len(whole) // 2, len(whole.rstrip()) - 1):
        path.write_bytes(whole[:length])
        text = api.report(folder.path).read_text()
        assert "0 of 1 trials measured, 1 left" in text
        assert "**unreadable, 1 trial:**" in text
    path.write_bytes(whole)
    assert "1 of 1 trials measured." in api.report(folder.path).read_text()


def test_a_run_sets_it_aside(tmp_path: Path, tiny_suite: Callable[..., Path]) -> None:
    """The run measures the trial again and keeps the torn file beside the new record; the page says so until then."""
    plan = api.plan(tiny_suite(), results=tmp_path / "results", device="cpu")
    (trial,) = plan.trials
    folder = plan.folder.trial(trial.trial_id)
    attempt = folder.next_attempt()
    folder.record.write_bytes(b'{"schema_version": 1, "trial"')

    summary = api.run(plan, executor=ScriptedExecutor(("failed", "error")), preflight=False)
    assert summary.failed == 1
    (aside,) = folder.set_aside()
    assert aside.read_bytes() == b'{"schema_version": 1, "trial"'
    assert attempt.path.is_dir()
    text = summary.report.read_text()
    assert aside.name in text
    assert "set aside" in text


def test_a_run_leaves_results_of_a_newer_version_alone(tmp_path: Path, tiny_suite: Callable[..., Path]) -> None:
    """It is refused with a sentence: to measure such a trial again would cost a night and hide the better record."""
    plan = api.plan(tiny_suite(), results=tmp_path / "results", device="cpu")
    (trial,) = plan.trials
    folder = plan.folder.trial(trial.trial_id)
    folder.next_attempt()
    folder.record.write_bytes(b'{"schema_version": 99}')
    with pytest.raises(UsageError, match="schema version 99.*update harness"):
        api.run(plan, executor=ScriptedExecutor(("failed", "error")), preflight=False)
    assert folder.record.read_bytes() == b'{"schema_version": 99}'
    assert not folder.set_aside()
