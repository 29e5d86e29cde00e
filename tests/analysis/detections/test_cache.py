"""Analyses are computed once from what trials leave; missing or damaged files cost one trial's analysis alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.detections import cache as module
from harness.analysis.detections.analyse import DetectionAnalysis
from harness.analysis.detections.cache import load_or_compute
from harness.store import problems
from harness.store.paths import SuiteFolder
from harness.store.record import AS_TRAINED, RECORD, Record, encode
from harness.store.results import read_results
from harness.store.tables import read_detections, read_ground_truth
from tests.report.made import detections, drawn_detections, drawn_labels, labels, of_classes, write, write_truths
from tests.store.make import make_folder, make_record, make_trial

BOX = (0.0, 0.0, 10.0, 10.0)


def _folder(tmp_path: Path, trials: int = 2) -> tuple[SuiteFolder, list[Record]]:
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng)
    records = [of_classes(make_record(make_trial(seed=seed)), truth) for seed in range(trials)]
    folder = make_folder(tmp_path, records)
    for record in records:
        write(folder, record, truth, drawn_detections(rng, truth))
    return folder, records


def _analyse(folder: SuiteFolder) -> dict[tuple[str, str], DetectionAnalysis]:
    return load_or_compute(folder, read_results(folder))


def _same(first: DetectionAnalysis, second: DetectionAnalysis) -> bool:
    ours, theirs = dataclasses.asdict(first), dataclasses.asdict(second)
    return all(np.array_equal(ours[name], theirs[name], equal_nan=ours[name].dtype.kind == "f")
               if isinstance(ours[name], np.ndarray) else ours[name] == theirs[name] for name in ours)  # fmt: skip


def test_what_would_take_long_is_left_for_later(tmp_path: Path) -> None:
    """Beyond a number of bytes new detections are not analysed, which is noted; what is in the cache is used."""
    folder, records = _folder(tmp_path, trials=3)
    size = folder.trial(records[0].trial.trial_id).detections(None).stat().st_size
    states = read_results(folder)
    with problems.collected() as noted:
        assert load_or_compute(folder, states, most_new_bytes=0) == {}
    assert "the detections of 3 rows are many, so they are analysed when the run ends" in noted[0]
    with problems.collected() as noted:
        assert len(load_or_compute(folder, states, most_new_bytes=int(1.5 * size))) == 1
    assert "the detections of 2 rows are many" in noted[0]
    assert len(_analyse(folder)) == 3
    with problems.collected() as noted:
        assert len(load_or_compute(folder, states, most_new_bytes=0)) == 3
    assert not noted


def test_it_is_computed_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is computed and all is equal; only detections that changed are analysed again."""
    folder, records = _folder(tmp_path)
    first = _analyse(folder)
    assert set(first) == {(record.trial.trial_id, AS_TRAINED) for record in records}
    analysed: list[tuple[str, str]] = []
    original = module._analyse

    def record_and_analyse(job: module._Job) -> DetectionAnalysis | str:
        analysed.append(job.key)
        return original(job)

    monkeypatch.setattr(module, "_analyse", record_and_analyse)
    again = _analyse(folder)
    assert not analysed
    assert all(_same(first[key], again[key]) for key in first)
    truth = drawn_labels(np.random.default_rng(0))
    write(folder, records[1], truth, detections((0, 0, 0.5, BOX)))
    changed = _analyse(folder)
    assert analysed == [(records[1].trial.trial_id, AS_TRAINED)]
    assert changed[analysed[0]].map != first[analysed[0]].map


def test_a_damaged_cache_is_computed_anew(tmp_path: Path) -> None:
    """A cache file that is cut anywhere costs time and nothing else."""
    folder, _ = _folder(tmp_path, trials=1)
    (first,) = _analyse(folder).values()
    (cached,) = folder.cache.iterdir()
    whole = cached.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        cached.write_bytes(whole[:length])
        (again,) = _analyse(folder).values()
        assert _same(first, again)


def test_several_processes_give_the_same_analyses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large detections are analysed by several processes, with equal results."""
    folder, _ = _folder(tmp_path)
    alone = _analyse(folder)
    for path in folder.cache.iterdir():
        path.unlink()
    monkeypatch.setattr(module, "_MIN_PARALLEL_BYTES", 0)
    together = _analyse(folder)
    assert all(_same(alone[key], together[key]) for key in alone)


def test_read_only_results_are_analysed_as_well(tmp_path: Path) -> None:
    """A cache that cannot be written is no error."""
    folder, _ = _folder(tmp_path, trials=1)
    folder.cache.write_text("a file where the folder should be")
    assert len(_analyse(folder)) == 1


@pytest.mark.parametrize("damage", ["truths", "predictions", "columns", "unknown image"])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """Damaged or missing files cost that trial's analysis alone, with a warning that says why."""
    folder, records = _folder(tmp_path)
    trial = folder.trial(records[0].trial.trial_id)
    if damage == "truths":
        trial.ground_truth.unlink()  # as in records of an older version
    elif damage == "predictions":
        trial.detections().write_bytes(trial.detections().read_bytes()[:-20])
    elif damage == "columns":
        trial.detections().write_bytes(trial.ground_truth.read_bytes())
    else:
        write_truths(trial.ground_truth, labels([(0, BOX)], classes=("class 0", "class 1", "class 2")))
    assert set(_analyse(folder)) == {(records[1].trial.trial_id, AS_TRAINED)}
    assert damage == "truths" or "cannot be used" in caplog.text


def test_an_older_record_is_judged_by_its_dataset(tmp_path: Path) -> None:
    """Without stored labels, the dataset is generated again, if its fingerprint is still the record's; else nothing."""
    from harness.data.open import fingerprint, open_synthetic
    from harness.suite.schema import SyntheticDataset

    trial = make_trial()
    source = trial.dataset.source
    assert isinstance(source, SyntheticDataset)
    dataset = dataclasses.replace(trial.dataset, fingerprint=fingerprint(source))
    truth = open_synthetic(source, "val").annotations
    names = labels([], [], classes=truth.class_names)
    record = of_classes(make_record(dataclasses.replace(trial, dataset=dataset)), names)
    record = dataclasses.replace(record, metrics=dataclasses.replace(record.metrics, images=len(truth)))
    folder = make_folder(tmp_path, [record])
    named = dataclasses.replace(names, images=truth.file_names)
    found = detections(*((0, int(k), 0.9, tuple(box)) for k, box in zip(truth.labels, truth.boxes, strict=True)))
    write(folder, record, named, found)
    folder.trial(record.trial.trial_id).ground_truth.unlink()
    assert [analyses.n_ground_truth.sum() for analyses in _analyse(folder).values()] == [len(truth.boxes)]
    changed = dataclasses.replace(record, trial=trial)  # whose fingerprint is another
    folder.trial(record.trial.trial_id).record.write_bytes(encode(RECORD, changed))
    assert not _analyse(folder)


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Images without boxes as well, in the order of evaluation."""
    truth = labels([], [(1, BOX), (0, (1, 2, 3, 4))], [], crowds=[1])
    path = tmp_path / "ground_truth.parquet"
    write_truths(path, truth)
    again = read_ground_truth(path.read_bytes(), truth.class_names)
    assert again.images == truth.images
    assert again.fingerprint() == truth.fingerprint()


def test_only_the_best_hundred_of_a_class_in_an_image_count(tmp_path: Path) -> None:
    """This is COCO's limit, whatever the protocol keeps."""
    truth = labels([(0, BOX)], [])
    folder = make_folder(tmp_path, [record := of_classes(make_record(make_trial()), truth)])
    write(folder, record, truth, detections(*((0, k % 2, 0.9 - k / 1000, BOX) for k in range(260))))
    data = folder.trial(record.trial.trial_id).detections().read_bytes()
    found = read_detections(data, truth)
    assert np.bincount(found.classes).tolist() == [100, 100]
    assert found.scores.min() == pytest.approx(0.9 - 0.199, abs=1e-6)
