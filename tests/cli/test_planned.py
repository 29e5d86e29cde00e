"""What a plan says: how rows differ, what is done, and what a budget leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import harness
from harness.cli.planned import plan_data, plan_lines
from harness.store import files, record
from harness.store.job import PREFLIGHT
from harness.suite.expand import configuration_key
from tests.conftest import Command
from tests.scheduling.test_estimate import REHEARSAL

ROWS = "".join(
    f"  - name: {name}\n    weights: none\n    image_size: {{min: {side}, max: 64}}\n    model: {{{model}}}\n{more}"
    for name, side, model, more in (
        ("fasterrcnn_mobilenet_v3_large_fpn", 64, "rpn_post_nms_top_n_test: 20", ""),
        ("fasterrcnn_mobilenet_v3_large_fpn", 64, "rpn_post_nms_top_n_test: 20, box_batch_size_per_image: 8", ""),
        ("fasterrcnn_mobilenet_v3_large_fpn", 32, "rpn_post_nms_top_n_test: 20", ""),
        (
            "fasterrcnn_mobilenet_v3_large_fpn",
            64,
            "rpn_post_nms_top_n_test: 20",
            "    hyperparameters: {lr: 0.5, augmentation: {hflip: 0.25}}\n",
        ),
        ("retinanet_resnet50_fpn", 64, "", ""),
    )
)


def _with_preflights(plan: harness.Plan, step_s: float = 0.5) -> harness.Plan:
    preflight = replace(REHEARSAL, where=plan.where, step_s=step_s)
    return replace(plan, preflights={configuration_key(trial): preflight for trial in plan.selected})


def test_a_plan_says_in_what_two_rows_differ(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Hyperparameters, options that only one of them has, sizes; of a row that stands alone nothing."""
    plan = harness.plan(tiny_suite(architectures=ROWS), results=tmp_path)
    lines = list(plan_lines(plan))
    told = [line.strip() for line in lines if line.startswith("    ")]
    common = "image_size 64/64"
    assert told == [
        f"lr 0.0001, augmentation.hflip 0.5, {common}",
        f"lr 0.0001, augmentation.hflip 0.5, {common}, model.box_batch_size_per_image 8",
        "lr 0.0001, augmentation.hflip 0.5, image_size 32/64",
        f"lr 0.5, augmentation.hflip 0.25, {common}",
    ]


def test_the_data_of_a_plan_hold_everything(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Hyperparameters in full, with what the recipe fills in; and nothing but JSON is printed."""
    suite = tiny_suite(architectures=ROWS)
    done = harness_command("plan", suite, "--results", tmp_path / "r", "--json")
    content = json.loads(done.stdout)
    assert [trial["state"] for trial in content["trials"]] == ["left"] * 5
    plan = harness.plan(suite, results=tmp_path / "r")
    for trial, said in zip(plan.selected, content["trials"], strict=True):
        assert said["trial_id"] == trial.trial_id
        assert said["hyperparameters"]["lr"] == trial.hyperparameters.lr
        assert said["hyperparameters"]["augmentation"]["hflip"] == trial.hyperparameters.augmentation.hflip
        assert set(said["hyperparameters"]) >= {"epochs", "weight_decay", "milestones", "precision"}
        assert said["architecture"]["model"] == dict(trial.architecture.model)
    expected = plan_data(_with_preflights(plan))
    assert all(trial["expected_s"] > 0 for trial in expected["trials"])
    assert expected["race"]["entrants"] == 5


@pytest.mark.parametrize(("budget", "late"), [("10h", 0), ("150s", 3), ("1s", 5)])
def test_a_dry_run_keeps_to_its_budget(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path, budget: str, late: int
) -> None:
    """Trials that a run would not start are not among those that are said to run, and the end is that of the others."""
    suite = tiny_suite(architectures=ROWS)
    plan = harness.plan(suite, results=tmp_path)
    for trial in plan.selected:  # 60 s each, or a little more
        preflight = replace(REHEARSAL, where=plan.where, steps=100, evaluation_s=0.001)
        folder = plan.folder.trial(trial.trial_id)
        files.make_folder(folder.path)
        files.commit(folder.preflight, record.encode(PREFLIGHT, preflight))
    said = harness_command("run", suite, "--results", tmp_path, "--dry-run", "--budget", budget).stdout
    assert said.count("\ntoo late ") + said.startswith("too late ") == late
    assert (f"{late} trials would not be done by " in said) == bool(late)
    assert (f"{5 - late} trials left: about " in said) == (late < 5)
    assert ("race of speed" in said) == (late == 0)
    assert ("the race starts no block that would not be done by " in said) == (late == 0)


def test_a_dry_run_without_preflights_says_that_it_cannot_tell(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """What a preflight has not measured is neither too late nor in time."""
    plan = harness.plan(tiny_suite(), results=tmp_path)
    until = datetime.now().astimezone() + timedelta(hours=1)
    assert "how long 1 trial would take, and so what would be too late, only a preflight says" in list(
        plan_lines(plan, until=until)
    )


def test_a_dry_run_heeds_the_other_options(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Without a race none is foreseen."""
    plan = _with_preflights(harness.plan(tiny_suite(architectures=ROWS), results=tmp_path))
    assert any("race of speed" in line for line in plan_lines(plan))
    assert not any("race of speed" in line for line in plan_lines(plan, race=False))
