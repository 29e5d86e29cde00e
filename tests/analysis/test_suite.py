"""The page shows the known answers of made detections: accuracy, ties, kinds of errors, thresholds, images."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from harness import api
from harness.store.paths import SuiteFolder
from harness.store.record import Record
from tests.report.made import detections, drawn_detections, drawn_labels, labels, of_classes, write
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
BOX, PART, OTHER = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 4.0), (30.0, 30.0, 40.0, 40.0)
DISC, SQUARE = 0, 1
TRUTH = labels([(DISC, BOX)], [(DISC, BOX)], [(SQUARE, BOX)], [(SQUARE, BOX)], [])


def _folder(root: Path, predictions: dict[str, object], truth: object = TRUTH, **records: object) -> SuiteFolder:
    """Write a folder with one trial for each architecture, whose detections are these."""
    records_by_name = {name: of_classes(make_record(make_trial(name), **records), truth) for name in predictions}  # type: ignore[arg-type]
    folder = make_folder(root, list(records_by_name.values()))
    for name, detections_of_trial in predictions.items():
        write(folder, records_by_name[name], truth, detections_of_trial)  # type: ignore[arg-type]
    return folder


def _row(text: str, table: str, name: str) -> list[str]:
    """Return the cells of a row as `header: cell`, from the table whose first header starts with `table`."""
    rows = text[text.index(f"| {table} ") :].split("\n\n", maxsplit=1)[0].splitlines()
    header = [cell.strip() for cell in rows[0].strip("|").split("|")]
    line = next(row for row in rows if row.startswith(f"| {name} "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    return [f"{head}: {cell}" for head, cell in zip(header, cells, strict=True)]


def test_the_page_counts_kinds_of_errors_and_their_costs(tmp_path: Path) -> None:
    """With one error of each kind, the page shows each count and what fixing it would gain."""
    predictions = detections(
        (0, DISC, 0.9, BOX), (0, DISC, 0.8, BOX), (1, SQUARE, 0.7, BOX), (2, SQUARE, 0.6, PART), (3, DISC, 0.5, PART),
        (4, DISC, 0.4, BOX),
    )  # fmt: skip
    text = api.report(_folder(tmp_path, {RETINA: predictions}).path).read_text()
    assert _row(text, "mAP50 gained without", RETINA)[1:] == [
        "classification: +0.165 (1)", "localisation: +0.126 (1)", "both: 0.000 (1)", "duplicate: 0.000 (1)",
        "background: 0.000 (1)", "missed: 0.000 (1)",
    ]  # fmt: skip


def test_the_page_has_the_best_threshold_of_each_class(tmp_path: Path) -> None:
    """It shows the threshold with the F1, precision and recall there."""
    predictions = detections((0, DISC, 0.9, BOX), (0, DISC, 0.8, OTHER), (1, DISC, 0.7, BOX), (2, SQUARE, 0.6, BOX))
    text = api.report(_folder(tmp_path, {RETINA: predictions}).path).read_text()
    disc = _row(text, "class ", "disc")
    assert disc[3:7] == ["best threshold: 0.699", "F1 there: 0.80", "precision: 0.67", "recall: 1.00"]
    assert _row(text, "class ", "square")[3:7] == [
        "best threshold: 0.600", "F1 there: 0.67", "precision: 1.00", "recall: 0.50",
    ]  # fmt: skip


def test_equal_detectors_are_a_tie_and_a_worse_one_is_not(tmp_path: Path) -> None:
    """Two rows with the same detections share a group; one that finds a tenth is less accurate than either."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=80, crowds=0.0)
    good = drawn_detections(rng, truth, hits=0.9, shift=1.0)
    bad = drawn_detections(rng, truth, hits=0.1)
    folder = _folder(tmp_path, {FASTER: good, MOBILE: good, RETINA: bad}, truth)
    _measured(folder, {FASTER: (0.70, 0.04), MOBILE: (0.70, 0.02), RETINA: (0.10, 0.01)})
    text = api.report(folder.path).read_text()
    assert f"**{MOBILE}** and **{FASTER}** are a tie on accuracy" in text or (
        f"**{FASTER}** and **{MOBILE}** are a tie on accuracy" in text
    )
    groups = [next(cell for cell in _row(text, "architecture ", name) if cell.startswith("group"))
              for name in (f"{FASTER}", f"{MOBILE} ★", f"{RETINA} ★")]  # fmt: skip
    assert groups == ["group: 1", "group: 1", "group: 2"]
    assert re.search(rf"\| {RETINA} .*less accurate", text)


def test_the_interval_of_the_page_is_of_the_stored_detections(tmp_path: Path) -> None:
    """It contains their mAP; with --no-bootstrap, or without stored labels, there is none."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=40)
    folder = _folder(tmp_path, {RETINA: drawn_detections(rng, truth)}, truth)
    text = api.report(folder.path).read_text()
    low, high = map(float, re.findall(r"95 % interval (0\.\d+) … (0\.\d+)", text)[0])
    (analyses,) = _stored_maps(folder)
    assert low < analyses < high
    without = api.report(folder.path, bootstrap=False).read_text()
    assert "95 % interval 0" not in without
    assert "What goes wrong" not in without
    for path in tmp_path.glob("trials/*/ground_truth.parquet"):
        path.unlink()
    assert "What goes wrong" not in api.report(folder.path).read_text()


def test_the_baseline_is_the_named_row(tmp_path: Path) -> None:
    """It can be named by its architecture; an unknown name is refused with the list of rows."""
    from harness.errors import UsageError

    rng = np.random.default_rng(0)
    truth = drawn_labels(rng)
    folder = _folder(tmp_path, {FASTER: drawn_detections(rng, truth), RETINA: drawn_detections(rng, truth)}, truth)
    assert f"Baseline: {RETINA}." in api.report(folder.path, baseline=RETINA).read_text()
    with pytest.raises(UsageError, match=f"(?s)--baseline nobody.*{FASTER}"):
        api.report(folder.path, baseline="nobody")


def test_seeds_and_images_are_two_spreads(tmp_path: Path) -> None:
    """± over seeds is beside the interval over images; the error of a difference over seeds has its own column."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=40)
    records = [
        of_classes(make_record(make_trial(name, seed=seed), map=value), truth)
        for name, values in ((FASTER, (0.5, 0.6)), (RETINA, (0.3, 0.5)))
        for seed, value in enumerate(values)
    ]
    folder = make_folder(tmp_path, records)
    for record in records:
        write(folder, record, truth, drawn_detections(rng, truth))
    text = api.report(folder.path).read_text()
    assert "0.550 ± 0.071" in text
    assert _row(text, "architecture ", RETINA)[0]
    assert "± 0.112" in text  # √(0.0707²/2 + 0.1414²/2)
    assert "± is the standard deviation over 2 seeds" in text
    assert "intervals show chance over images" in text


def test_partial_and_mixed_results_are_reported_as_far_as_they_go(tmp_path: Path) -> None:
    """A failed seed, a pending one, another environment and a record without labels are all reported."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=30)
    records = [
        of_classes(make_record(make_trial(FASTER, seed=seed), device_name=f"GPU {seed}"), truth) for seed in (0, 1)
    ]
    old = make_record(make_trial(MOBILE), map=0.4)
    folder = make_folder(
        tmp_path, [*records, old],
        failed=((make_trial(RETINA), make_outcome()),), left=(make_trial(FASTER, seed=2),),
    )  # fmt: skip
    for record in records:
        write(folder, record, truth, drawn_detections(rng, truth))
    text = api.report(folder.path).read_text()
    assert "3 of 5 trials measured, **1 failed**, 1 left" in text
    assert "Not one ranking" in text
    assert "2 succeeded, 1 not run yet" in text
    assert _row(text, "architecture ", MOBILE)[2] == "95 % interval: –"
    assert (folder.path / "report.html").is_file()


def _measured(folder: SuiteFolder, numbers: dict[str, tuple[float, float]]) -> None:
    """Set the mAP and the latency of each architecture's record."""
    from harness.store import record as records
    from harness.store.results import read_results

    for state in read_results(folder):
        assert state.record is not None
        value, latency = numbers[state.trial.architecture.name]
        changed: Record = dataclasses.replace(
            state.record,
            metrics=dataclasses.replace(state.record.metrics, map=value),
            measurements=dataclasses.replace(
                state.record.measurements, latency_s=records.distribution([[latency] * 20])
            ),
        )
        folder.trial(state.trial.trial_id).record.write_bytes(records.encode(records.RECORD, changed))


def _stored_maps(folder: SuiteFolder) -> list[float]:
    """The mAP of each trial's stored detections."""
    from harness.analysis.detections.cache import load_or_compute
    from harness.store.results import read_results

    return [predictions.map for predictions in load_or_compute(folder, read_results(folder)).values()]
