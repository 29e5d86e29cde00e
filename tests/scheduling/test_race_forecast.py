"""What the race after the trials will take, before it is known which rows will matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.observers.wording import forecast
from harness.scheduling.plan import Plan, refresh
from harness.scheduling.race_forecast import forecast_races, turn_s
from harness.store import files, record
from harness.store.job import PREFLIGHT
from harness.suite.schema import at_level
from tests.conftest import Command
from tests.executors.scripted import MadeExecutor
from tests.scheduling.test_estimate import REHEARSAL
from tests.store.make import make_record, make_trial


def _plan(tiny_suite: Callable[..., Path], tmp_path: Path) -> Plan:
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}sweep: {{lr: [1e-4, 1e-3, 1e-2]}}\n")
    return harness.plan(suite, results=tmp_path / "r", device="cpu")


def _with_preflights(plan: Plan) -> Plan:
    for trial in plan.trials[:3]:
        folder = plan.folder.trial(trial.trial_id)
        files.make_folder(folder.path)
        files.replace(folder.preflight, record.encode(PREFLIGHT, replace(REHEARSAL, where=plan.where)))
    return refresh(plan)


def test_a_turn_takes_its_start_its_warm_up_and_its_images() -> None:
    """At least the seconds of the protocol's level; what was measured tells more than a preflight."""
    trial = make_trial()
    assert turn_s(trial.protocol, REHEARSAL, None) == pytest.approx(5 + (10 + 20) * 0.1)
    assert turn_s(at_level("standard", trial.protocol), REHEARSAL, None) == pytest.approx(5 + 10 * 0.1 + 3)
    assert turn_s(trial.protocol, REHEARSAL, make_record(trial, latency_s=0.02)) == pytest.approx(5 + 30 * 0.02)
    assert turn_s(trial.protocol, None, make_record(trial, latency_s=0.02)) == pytest.approx(10 + 30 * 0.02)
    assert turn_s(trial.protocol, None, None) is None


def test_a_plan_counts_its_race(tiny_suite: Callable[..., Path], tmp_path: Path, harness_command: Command) -> None:
    """Blocks by rows by turns, in the line that says when the run ends and in `harness plan`."""
    plan = _plan(tiny_suite, tmp_path)
    unknown = forecast_races(plan)
    assert unknown is not None
    assert (unknown.entrants, unknown.blocks, unknown.seconds) == (3, 3, None)
    plan = _with_preflights(plan)
    race = forecast_races(plan)
    assert race is not None
    assert race.seconds == pytest.approx(3 * 3 * (5 + 30 * 0.1))
    said = forecast(plan.pending, plan.expected(), race)
    assert "with a race of speed of about 1 min at the end (3 blocks of up to 3 rows)" in said
    shown = harness_command("plan", plan.suite.path, "--results", tmp_path / "r", "--device", "cpu").stdout
    assert "with a race of speed of about 1 min at the end" in shown


def test_nothing_is_foreseen_where_nothing_will_race(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """One row; or all trials done, and raced, or their weights gone."""
    plan = _plan(tiny_suite, tmp_path)
    one = harness.plan(plan.suite.path, results=tmp_path / "r", device="cpu", select="*lr0.01*")
    assert forecast_races(one) is None
    harness.run(plan, executor=MadeExecutor(), race=False)
    left = forecast_races(refresh(plan))
    assert left is not None
    assert left.seconds == pytest.approx(3 * 3 * (10 + 30 * 0.02))
    harness.run(plan, executor=MadeExecutor())
    assert forecast_races(refresh(plan)) is None
    for path in plan.folder.path.glob("races/1/1/*/block.json"):
        path.unlink()
    assert forecast_races(refresh(plan)) is not None
    for path in plan.folder.path.glob("trials/*/checkpoints/weights.pt"):
        path.unlink()
    assert forecast_races(refresh(plan)) is None
