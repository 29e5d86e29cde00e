"""An edit of a user's dataset code makes new trials; what an older version measured is neither taken nor lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness import api
from harness.data.open import older_fingerprint
from harness.store import files, record
from harness.suite.expand import plan_trials
from harness.suite.schema import PythonDataset
from tests.store.make import make_record


def test_an_edit_makes_new_trials(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Of a module, and of what it imports; undone, the old trials are done again."""
    (tmp_path / "planned_data.py").write_text("import planned_helper")
    helper = tmp_path / "planned_helper.py"
    helper.write_text("X = 1")
    split = "{dataset: 'planned_data:Parts'}"
    suite = tiny_suite(datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n")
    first = api.plan(suite, results=tmp_path / "results")
    (trial,) = first.trials
    files.make_folder(first.folder.trial(trial.trial_id).path)
    files.commit(first.folder.trial(trial.trial_id).record, record.encode(record.RECORD, make_record(trial)))
    assert not api.plan(suite, results=tmp_path / "results").pending
    helper.write_text("X = 2")
    edited = api.plan(suite, results=tmp_path / "results")
    assert [pending.trial_id for pending in edited.pending] != [trial.trial_id]
    assert not any("0.4" in remark for remark in edited.remarks)
    helper.write_text("X = 1")
    assert not api.plan(suite, results=tmp_path / "results").pending


def test_records_of_an_older_version_are_run_again_with_a_word(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """They do not say which code they saw: the plan says how many there are, until the new ones are there."""
    (tmp_path / "planned_older.py").write_text("X = 1")
    split = "{dataset: 'planned_older:Parts'}"
    suite = tiny_suite(datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n")
    plan = api.plan(suite, results=tmp_path / "results")
    ((name, dataset),) = plan.suite.datasets
    assert isinstance(dataset, PythonDataset)
    (old,) = plan_trials(plan.suite, {name: older_fingerprint(dataset)}, max_images=None)
    (new,) = plan.trials
    assert old.trial_id != new.trial_id

    def commit(trial_id: str) -> None:
        folder = plan.folder.trial(trial_id)
        files.make_folder(folder.path)
        made = make_record(replace(new, trial_id=trial_id))
        files.commit(folder.record, record.encode(record.RECORD, made))

    commit(old.trial_id)
    again = api.plan(suite, results=tmp_path / "results")
    assert [trial.trial_id for trial in again.pending] == [new.trial_id]
    (remark,) = [remark for remark in again.remarks if "0.4" in remark]
    assert remark.startswith("data parts: 1 trial of a version before 0.4, which did not look at the code")
    commit(new.trial_id)
    assert not [remark for remark in api.plan(suite, results=tmp_path / "results").remarks if "0.4" in remark]
