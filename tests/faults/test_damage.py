"""Whatever stored file is damaged, and however: no command ends in a traceback, and the page names the file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import api
from harness.analysis.detections import average_precision
from harness.store import files, record, tables
from harness.store.arrays import StoredTimings
from harness.store.job import JOB, OUTCOME, PREFLIGHT, Job, Preflight
from harness.store.paths import SuiteFolder, TrialFolder
from harness.store.record import AS_TRAINED
from tests.conftest import Command
from tests.report.made import agreeing, drawn_detections, drawn_labels, write
from tests.store.make import make_folder, make_outcome, make_record, make_trial
from tests.store.make_race import make_entrant, make_race, write_end, write_race

# One trial for each file that is damaged, so that one page has to name all of them.
FILES: dict[str, Callable[[TrialFolder], Path]] = {
    "record": lambda trial: trial.record,
    "detections": lambda trial: trial.detections(),
    "ground truth": lambda trial: trial.ground_truth,
    "samples": lambda trial: trial.samples,
    "outcome": lambda trial: trial.attempts()[0].outcome,
    "preflight": lambda trial: trial.preflight,
    "job": lambda trial: trial.attempts()[0].job,
}


def _made(root: Path) -> SuiteFolder:
    """A trial for each of `FILES` with all files that a trial can have, and one that stays whole."""
    truth = drawn_labels(np.random.default_rng(0), images=2)
    trials = [make_trial(seed=seed) for seed in range(len(FILES) + 1)]
    found = [drawn_detections(np.random.default_rng(number), truth, each=3) for number in range(len(trials))]
    records = [agreeing(make_record(trial), truth, one) for trial, one in zip(trials, found, strict=True)]
    folder = make_folder(root, records)
    count = 8
    timings = StoredTimings(
        passes=np.array(["latency"] * count), repeats=np.zeros(count, dtype=np.int64), seconds=np.full(count, 0.02),
        rounds=np.arange(count) // 4, images=np.arange(count) % 4, counts=np.ones(count, dtype=np.int64),
    )  # fmt: skip
    preflight = Preflight(where="here", startup_s=1.0, step_s=1.0, evaluation_s=1.0, steps=3, evaluations=2, images=2,
                          state_bytes=1, weights_bytes=1, accumulate=1)  # fmt: skip
    for made, one in zip(records, found, strict=True):
        trial = folder.trial(made.trial.trial_id)
        write(folder, made, truth, one)
        trial.samples.write_bytes(tables.write_timings({AS_TRAINED: timings}))
        trial.preflight.write_bytes(record.encode(PREFLIGHT, preflight))
        attempt = trial.attempts()[0]
        job = Job(trial=made.trial, number=1, device="cpu", threads=2, import_folder="/")
        files.commit(attempt.job, record.encode(JOB, job))
        files.commit(attempt.outcome, record.encode(OUTCOME, make_outcome("succeeded", "")))
    return folder


def _each_file(folder: SuiteFolder) -> dict[str, Path]:
    """The file of each kind in the trial that it is damaged in; the job's trial has no record, and no plan names it."""
    trials = [folder.trial(make_trial(seed=seed).trial_id) for seed in range(len(FILES))]
    return {name: find(trial) for (name, find), trial in zip(FILES.items(), trials, strict=True)}


def _run_all(folder: SuiteFolder, whole: SuiteFolder, command: Command) -> str:
    """Run every command that reads results; return the page's warnings."""
    for words in (
        ("status", folder.path),
        ("show", make_trial(seed=len(FILES)).trial_id, "--results", folder.path),
        ("recommend", folder.path),
        ("compare", whole.path, folder.path, "--fail-on", "map:-0.5,latency:+900%"),
        ("compare", folder.path, whole.path, "--json"),
        ("report", folder.path),
    ):
        done = command(*words)
        assert "Traceback" not in done.stderr, (words, done.stderr)
        assert done.returncode in {0, 1}, (words, done.stderr)
    found = api.load_results(folder.path)
    assert len(found.trials) >= 1
    assert len(found.detections) >= 0
    assert len(found.timings) >= 0
    page = folder.report.read_text()
    return page.split("\n## Warnings\n")[1].split("\n## ")[0] if "\n## Warnings\n" in page else ""


def _table_of(path: Path, column: str, value: object) -> bytes:
    """The Parquet file with one column overwritten."""
    table = pq.read_table(io.BytesIO(path.read_bytes()))
    stream = io.BytesIO()
    changed = table.set_column(table.column_names.index(column), column, pa.array([value] * len(table)))
    pq.write_table(changed, stream)
    return stream.getvalue()


def _newer(path: Path) -> bytes:
    return json.dumps({**json.loads(path.read_bytes()), "schema_version": 99}).encode()


def _cut(path: Path) -> bytes:
    return path.read_bytes()[:-20]


def _put(path: Path, **values: object) -> bytes:
    return json.dumps({**json.loads(path.read_bytes()), **values}).encode()


DAMAGES: dict[str, dict[str, Callable[[Path], bytes | None]]] = {
    "empty": {name: lambda _path: b"" for name in FILES},
    "cut off": dict.fromkeys(FILES, _cut),
    "a folder, or nested without end": {
        "record": lambda _path: None,
        "outcome": lambda _path: None,
        "preflight": lambda _path: b"[" * 100_000,
        "job": lambda _path: b"[" * 100_000,
    },
    "of a newer version": dict.fromkeys(("record", "outcome", "preflight", "job"), _newer),
    "text for numbers": {
        "record": lambda path: _put(path, metrics={**json.loads(path.read_bytes())["metrics"], "map": "0.5"}),
        "detections": lambda path: _table_of(path, "score", "high"),
        "ground truth": lambda path: _table_of(path, "x1", "left"),
        "samples": lambda path: _table_of(path, "seconds", "20 ms"),
        "outcome": lambda path: _put(path, wall_s="3 s"),
        "preflight": lambda path: _put(path, step_s="1"),
        "job": lambda path: _put(path, number="1"),
    },
    "impossible numbers": {
        "record": lambda path: _put(path, metrics={**json.loads(path.read_bytes())["metrics"], "map": 1e308}),
        "detections": lambda path: _table_of(path, "score", 1e308),
        "ground truth": lambda path: _table_of(path, "x1", float("inf")),
        "samples": lambda path: _table_of(path, "seconds", 0.0),
        "outcome": lambda path: _put(path, started_at="9999-12-31T23:59:59-12:00"),
        "preflight": lambda path: _put(path, step_s=-1.0),
        "job": lambda path: _put(path, number=10**30),
    },
}


@pytest.fixture(autouse=True)
def _few_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """In how many groups images are left out changes no reading of files."""
    monkeypatch.setattr(average_precision, "MAX_GROUPS", 10)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    """Undamaged results."""
    return _made(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_under_warnings(
    damage: str, whole: SuiteFolder, tmp_path: Path, harness_command: Command
) -> None:
    """And every command does without it: exit code 0, or 1 where a check has nothing to judge."""
    folder = _made(tmp_path)
    expected = []
    for name, path in _each_file(folder).items():
        if name not in DAMAGES[damage]:
            continue
        content = DAMAGES[damage][name](path)
        path.unlink()
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        # A job is looked at where there is nothing else to tell which trial a folder is of.
        if name == "job":
            folder.trial(path.parent.parent.parent.name).record.unlink()
            files.replace(folder.plan, _without(folder, path.parent.parent.parent.name))
        # A folder is no file that could be read.
        if content is not None:
            expected.append(str(path.relative_to(folder.path)))
    warnings = _run_all(folder, whole, harness_command)
    assert not [path for path in expected if path.replace("_", "\\_") not in warnings and path not in warnings]
    if damage == "of a newer version":
        assert "schema version 99, but this version of harness reads up to 3: update harness" in warnings


def _without(folder: SuiteFolder, trial_id: str) -> bytes:
    plan = json.loads(folder.plan.read_bytes())
    return json.dumps({**plan, "trials": [one for one in plan["trials"] if one["trial_id"] != trial_id]}).encode()


@pytest.mark.parametrize("content", [b"[", b'{"schema_version": 99, "suite_file": null, "trials": []}'])
def test_without_its_plan_all_trials_of_a_folder_count(
    content: bytes, whole: SuiteFolder, tmp_path: Path, harness_command: Command
) -> None:
    """The page says so."""
    folder = _made(tmp_path)
    folder.plan.write_bytes(content)
    warnings = _run_all(folder, whole, harness_command)
    assert "plan.json: " in warnings
    assert "all trials in the folder count" in warnings
    assert f"{len(FILES) + 1} of {len(FILES) + 1} trials measured" in folder.report.read_text()


def test_a_record_in_the_folder_of_another_trial_counts_for_neither(tmp_path: Path) -> None:
    """Copied by hand it would count twice."""
    folder = make_folder(tmp_path, [make_record(make_trial(seed=seed), map=0.4 + seed / 10) for seed in (0, 1)])
    first, second = (folder.trial(make_trial(seed=seed).trial_id).record for seed in (0, 1))
    second.write_bytes(first.read_bytes())
    text = api.report(folder.path).read_text()
    assert "1 of 2 trials measured" in text
    assert "it is of the trial" in text


@pytest.mark.parametrize("name", ["race.json", "block.json", "outcome.json"])
def test_a_damaged_file_of_a_race_is_named_under_warnings(tmp_path: Path, name: str) -> None:
    """The page goes on without the turn, or without the race."""
    trials = [make_trial(seed=seed) for seed in (0, 1)]
    folder = make_folder(tmp_path, [make_record(trial) for trial in trials])
    entrants = [make_entrant(str(number)) for number in (0, 1)]
    place = write_race(folder, make_race(*entrants), [[0.02, 0.03], [0.02, 0.03], [0.02]])
    write_end(place, 3, 2, "interrupted")
    turn = place.turn(3, 2)
    path = {"race.json": place.race, "block.json": place.turn(1, 2).committed, "outcome.json": turn.outcome}[name]
    path.write_text("torn")
    page = api.report(folder.path).read_text()
    assert f"\n- {path.relative_to(folder.path)}: cannot be read" in page[page.index("## Warnings") :]
