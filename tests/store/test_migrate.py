"""What versions 0.1 and 0.2 stored is read under the present names; what a newer version stored is not read at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from harness import api
from harness.store import migrate, record, results
from harness.store.job import JOB, OUTCOME
from harness.store.migrate import Kind, NewerVersionError
from harness.store.paths import SuiteFolder
from tests.conftest import ROOT, Command
from tests.store.make import make_folder, make_record, make_trial

FIXTURES = ROOT / "tests" / "fixtures"
OLD_RESULTS = {"0.1": FIXTURES / "results-0.1" / "quickstart", "0.2": FIXTURES / "results-0.2" / "quickstart"}
INTERRUPTED = FIXTURES / "results-0.2" / "tiny"
OLD_WORDS = {
    "flags", "sd", "limit", "rehearsal", "rehearsed", "data_wait_share", "least", "most", "most_objects",
}  # fmt: skip


def _words(document: Any) -> Iterator[str]:
    """Every key, and every value that is text."""
    if isinstance(document, dict):
        yield from document
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from _words(value)
    if isinstance(document, str):
        yield document


def _old_records(version: str) -> list[tuple[Path, dict[str, Any]]]:
    paths = sorted(OLD_RESULTS[version].glob("trials/*/record.json"))
    return [(path, json.loads(path.read_bytes())) for path in paths]


def _undated(page: str) -> str:
    return re.sub(r"Written [-\d: ]+ UTC", "", page)


def _copy(version: str, to: Path) -> SuiteFolder:
    shutil.copytree(OLD_RESULTS[version], to)
    return SuiteFolder(to)


@pytest.mark.parametrize("version", OLD_RESULTS)
def test_an_old_record_keeps_every_number(version: str) -> None:
    """Trial, accuracy, latency with its std, memory, warnings and attempts are those of the file."""
    records = _old_records(version)
    assert len(records) >= 3
    for path, old in records:
        new = record.decode(record.RECORD, path.read_bytes(), str(path))
        assert new.schema_version == migrate.SCHEMA_VERSION
        assert new.trial.trial_id == old["trial"]["trial_id"] == path.parent.name
        assert new.trial.max_images == old["trial"]["limit"]
        assert new.trial.dataset.source.max_objects == old["trial"]["dataset"]["source"]["most_objects"]  # type: ignore[union-attr]
        assert (new.metrics.map, new.metrics.mar_100) == (old["metrics"]["map"], old["metrics"]["mar_100"])
        for name in ("median", "p95", "iqr", "mean", "n"):
            assert getattr(new.measurements.latency_s, name) == old["measurements"]["latency_s"][name]
        assert new.measurements.latency_s.std == old["measurements"]["latency_s"]["sd"]
        assert new.measurements.data_wait_fraction == old["measurements"]["data_wait_share"]
        assert new.model.parameters == old["model"]["parameters"]
        assert [(one.name, one.reason) for one in new.warnings] == [(f["name"], f["reason"]) for f in old["flags"]]
        outcomes = {"rehearsed": "preflight_passed"}
        assert [one.outcome for one in new.attempts] == [
            outcomes.get(a["outcome"], a["outcome"]) for a in old["attempts"]
        ]
        if version == "0.2":
            assert new.measurements.phases_s is not None
            assert new.measurements.phases_s.forward.std == old["measurements"]["phases_s"]["forward"]["sd"]
            thresholds = old["measurements"]["latency_by_threshold"]
            assert [row.latency_s.std for row in new.measurements.latency_by_threshold] == [
                row["latency_s"]["sd"] for row in thresholds
            ]
            assert new.data.splits is not None
            spread = old["data"]["splits"]["train"]["boxes_per_image"]
            assert (new.data.splits["train"].boxes_per_image.min, new.data.splits["train"].boxes_per_image.max) == (
                spread["least"], spread["most"],
            )  # fmt: skip


@pytest.mark.parametrize("version", OLD_RESULTS)
def test_no_old_word_is_left_after_the_migration(version: str) -> None:
    """Not as a key and not as a value, in a record and in the plan; and migrating twice changes nothing more."""
    documents: list[tuple[Kind, Any]] = [("record", old) for _, old in _old_records(version)]
    documents.append(("plan", json.loads((OLD_RESULTS[version] / "plan.json").read_bytes())))
    for kind, old in documents:
        before = json.dumps(old)
        new = migrate.migrate(kind, old)
        assert not OLD_WORDS & set(_words(new))
        assert migrate.migrate(kind, new) == new
        assert json.dumps(old) == before, "the document that was given is left alone"


@pytest.mark.parametrize("version", OLD_RESULTS)
def test_old_results_give_a_report(version: str, tmp_path: Path) -> None:
    """Every trial with a record is in its table with its mAP, and no stored file is changed, renamed or added."""
    folder = _copy(version, tmp_path / "quickstart")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    states = results.read_results(folder)
    measured = [state for state in states if state.record is not None]
    assert len(measured) == len(_old_records(version))
    assert not [state.problem for state in states if state.problem]
    page = api.report(folder.path).read_text()
    assert f"{len(measured)} of {len(states)} trials measured" in page
    for architecture in {state.trial.architecture.name for state in measured}:
        maps = [state.record.metrics.map or 0.0 for state in measured
                if state.record and state.trial.architecture.name == architecture]  # fmt: skip
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {architecture}") and "|" in line][:1]
        assert f"{sum(maps) / len(maps):.3f}" in row
    assert {path: path.read_bytes() for path in before} == before
    added = {path for path in folder.path.rglob("*") if path.is_file()} - set(before)
    assert {path.relative_to(folder.path).parts[0] for path in added} == {"report.md", "report.html", "plots", "cache"}


def test_old_detections_and_timings_are_analysed(tmp_path: Path) -> None:
    """Files under the names of version 0.2 give intervals of mAP and of latency, as the present names do."""
    folder = _copy("0.2", tmp_path / "old")
    renamed = _copy("0.2", tmp_path / "new")
    for path in list(renamed.path.rglob("*.parquet")):
        path.rename(path.with_name(path.name.replace("truths", "ground_truth").replace("predictions", "detections")))
    pages = [api.report(one.path).read_text().split("\n", 1)[1] for one in (folder, renamed)]
    assert len(list((folder.path / "cache").glob("*.npz"))) == len(_old_records("0.2")), "one analysis a trial"
    assert _undated(pages[0]) == _undated(pages[1])


def test_an_interrupted_trial_of_version_0_2_shows_where_it_stands() -> None:
    """Its attempts, its preflight under the old file name, and the trial that its job names."""
    (state,) = results.read_results(SuiteFolder(INTERRUPTED))
    assert [attempt.outcome for attempt in state.attempts] == ["preflight_passed", "interrupted"]
    assert state.preflight is not None
    assert state.preflight.steps == 180
    assert not state.failed
    job = results.last_job(SuiteFolder(INTERRUPTED).trial(state.trial.trial_id))
    assert job is not None
    assert (job.trial, job.number, job.preflight) == (state.trial, 2, None)
    first = next(INTERRUPTED.glob("trials/*/attempts/1/trial.json"))
    assert record.decode(JOB, first.read_bytes(), "x").preflight == state.preflight.where


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_newer_schema_is_refused(kind: Kind) -> None:
    """Whatever the document; the message names both versions."""
    with pytest.raises(NewerVersionError, match=r"schema version 4, .* reads up to 3"):
        migrate.migrate(kind, {"schema_version": 4})


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("document", [3, None, "x", [1], {"schema_version": "3"}, {"schema_version": 0}])
def test_what_is_no_document_is_no_traceback(kind: Kind, document: object) -> None:
    """A number, text or a wrong version raise one error; of a plan, a list is version 0.1's."""
    if kind == "plan" and isinstance(document, list):
        assert migrate.migrate(kind, document)["trials"] == [1]
        return
    with pytest.raises(TypeError, match="expected"):
        migrate.migrate(kind, document)


@pytest.mark.parametrize("key", ["trial", "measurements", "flags", "variants", "attempts", "data"])
def test_an_oddly_shaped_old_record_is_an_error_that_names_its_place(key: str) -> None:
    """A field of version 0.2 that holds a number where an object belongs is refused, not migrated by luck."""
    _, old = _old_records("0.2")[0]
    with pytest.raises(record.RecordError, match=r"record\.json: cannot be read: "):
        record.decode(record.RECORD, json.dumps({**old, key: 7}).encode(), "record.json")


def test_every_stored_document_says_its_version(tmp_path: Path) -> None:
    """Record, plan, job and outcome begin with the schema version, so that a later program knows what it reads."""
    folder = make_folder(tmp_path, [make_record(make_trial())])
    trial = folder.trial(make_trial().trial_id)
    assert json.loads(folder.plan.read_bytes())["schema_version"] == 3
    assert next(iter(json.loads(trial.record.read_bytes()))) == "schema_version"
    attempt = next(INTERRUPTED.glob("trials/*/attempts/2"))
    job = record.decode(JOB, (attempt / "trial.json").read_bytes(), "trial.json")
    outcome = record.decode(OUTCOME, (attempt / "outcome.json").read_bytes(), "outcome.json")
    for data in (record.encode(JOB, job), record.encode(OUTCOME, outcome)):
        assert json.loads(data)["schema_version"] == 3


@pytest.mark.parametrize("newer", ["record.json", "plan.json"])
@pytest.mark.parametrize("command", ["report", "status", "show"])
def test_results_of_a_newer_version_are_told_and_done_without(
    harness_command: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture, command: str, newer: str
) -> None:
    """`report`, `status` and `show` say which file it is and what to do, and read the rest; nothing is moved."""
    made = make_record(make_trial())
    folder = make_folder(tmp_path / "made", [made])
    path = folder.plan if newer == "plan.json" else folder.trial(made.trial.trial_id).record
    path.write_bytes(path.read_bytes().replace(b'"schema_version": 3', b'"schema_version": 4', 1))
    arguments = ("show", made.trial.trial_id, "--results", tmp_path) if command == "show" else (command, folder.path)
    done = harness_command(*arguments)
    assert done.returncode == 0, done.stderr
    assert f"{path}: was written with schema version 4, but this version of harness reads up to 3" in caplog.text
    assert "update harness" in caplog.text
    assert path.is_file()
    if command == "report":
        count = 1 if newer == "plan.json" else 0
        assert f"{count} of 1 trials measured" in folder.report.read_text()
