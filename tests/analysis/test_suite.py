"""The page shows the known answers of made detections: accuracy, ties, kinds of errors, thresholds, images."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import api
from harness.analysis import suite
from harness.store.arrays import StoredDetections, StoredGroundTruth
from harness.store.paths import SuiteFolder
from harness.suite.expand import configuration_key
from tests.report.made import agreeing, detections, drawn_detections, drawn_labels, labels, make_detected, write
from tests.report.pages import first_screens, main_tables, page_of, pairs, tables
from tests.store.make import make_folder, make_outcome, make_record, make_trial
from tests.store.make_race import make_entrant, make_environment, make_race, make_result, write_race, write_result

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
BOX, PART, OTHER = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 4.0), (30.0, 30.0, 40.0, 40.0)
DISC, SQUARE = 0, 1
TRUTH = labels([(DISC, BOX)], [(DISC, BOX)], [(SQUARE, BOX)], [(SQUARE, BOX)], [])


def _folder(root: Path, predictions: dict[str, StoredDetections], truth: StoredGroundTruth = TRUTH) -> SuiteFolder:
    """Write a folder with one trial for each architecture, whose detections are these."""
    return make_detected(root, truth, [(make_record(make_trial(name)), stored) for name, stored in predictions.items()])


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


def test_equal_detectors_are_not_separated_and_a_worse_one_is(tmp_path: Path) -> None:
    """Two rows with the same detections share a letter and both ranks; one that finds a tenth is less accurate."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=80, crowds=0.0)
    good = drawn_detections(rng, truth, hits=0.9, shift=1.0)
    bad = drawn_detections(rng, truth, hits=0.1)
    named = ((FASTER, good, 0.04), (MOBILE, good, 0.02), (RETINA, bad, 0.01))
    rows = [(make_record(make_trial(name), latency_s=seconds), stored) for name, stored, seconds in named]
    text = page_of(make_detected(tmp_path, truth, rows))
    (lines,) = first_screens(text).values()
    assert lines[0].startswith(f"- **Ship {MOBILE}:** ")
    assert f"- **Not separated** in accuracy: {FASTER} (0." in "\n".join(lines)
    (table,) = main_tables(text)
    ranks = {row["architecture"].split()[0]: row["rank"] for row in table}
    assert ranks == {FASTER: "1–2 a", MOBILE: "1–2 a", RETINA: "3 b"}
    assert [(row["architecture"], row["against"], row["accuracy"]) for row in pairs(text)] == [
        (MOBILE, FASTER, "not separated"),
        (RETINA, FASTER, "less accurate"),
        (MOBILE, RETINA, "more accurate"),
    ]


def test_the_interval_of_the_page_is_of_the_stored_detections(tmp_path: Path) -> None:
    """It contains their mAP; with --no-bootstrap, or without stored labels, there is none."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=40)
    folder = _folder(tmp_path, {RETINA: drawn_detections(rng, truth)}, truth)
    ((row,),) = main_tables(api.report(folder.path).read_text())
    value, low, high = map(float, re.findall(r"0\.\d{3}", row["mAP [95 %]"]))
    (stored,) = _stored_maps(folder)
    assert low < stored < high
    assert value == pytest.approx(stored, abs=5e-4)
    without = api.report(folder.path, bootstrap=False).read_text()
    ((row,),) = main_tables(without)
    assert row["mAP [95 %]"] == f"{stored:.3f}"
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


def test_a_table_without_the_baseline_has_its_most_accurate_row(tmp_path: Path) -> None:
    """Two datasets, of which one has the row: both say which differences are real."""
    folder = make_folder(
        tmp_path,
        [
            make_record(make_trial(name, dataset=dataset), map=value)
            for dataset, name, value in (("a", FASTER, 0.5), ("a", RETINA, 0.4), ("b", FASTER, 0.5), ("b", "toy", 0.4))
        ],
    )
    first, second = suite.analyse_suite(folder, baseline=RETINA).datasets
    assert first.rows.loc[first.baseline, "architecture"] == RETINA
    assert second.rows.loc[second.baseline, "architecture"] == FASTER


def test_seeds_and_images_are_one_error(tmp_path: Path) -> None:
    """An interval is over both, wider than over images alone; ± over seeds, their standard deviation, stands apart."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=40, crowds=0.0)
    found = {
        (name, seed): drawn_detections(rng, truth, hits=hits)
        for name, spread in ((FASTER, (0.9, 0.7)), (RETINA, (0.5, 0.3)))
        for seed, hits in enumerate(spread)
    }
    rows = [(make_record(make_trial(name, seed=seed)), stored) for (name, seed), stored in found.items()]
    folder = make_detected(tmp_path / "seeds", truth, rows)
    text = page_of(folder)
    (both,) = main_tables(text)
    (one,) = main_tables(page_of(make_detected(tmp_path / "one", truth, rows[:1])))
    assert _width(both[0]) > 2 * _width(one[0])
    assert "Intervals are over images and seeds." in text
    assert "2 seeds each; 95 % intervals over images and seeds" in text
    maps = _stored_maps(folder)
    ((first, _),) = tables(text, "architecture", "± over seeds")
    assert first["± over seeds"] == f"{np.std(maps[:2], ddof=1):.3f}"


def _width(row: dict[str, str]) -> float:
    _, low, high = map(float, re.findall(r"0\.\d{3}", row["mAP [95 %]"]))
    return high - low


def test_partial_and_mixed_results_are_reported_as_far_as_they_go(tmp_path: Path) -> None:
    """A failed seed, a pending one, another environment and a record without labels are all reported."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=30)
    found = [drawn_detections(rng, truth) for _ in (0, 1)]
    records = [agreeing(make_record(make_trial(FASTER, seed=seed), device_name=f"GPU {seed}"), truth, stored)
               for seed, stored in enumerate(found)]  # fmt: skip
    old = agreeing(make_record(make_trial(MOBILE), device_name="GPU 0"), truth, found[0])
    folder = make_folder(
        tmp_path, [*records, old],
        failed=((make_trial(RETINA), make_outcome()),), left=(make_trial(FASTER, seed=2),),
    )  # fmt: skip
    for record, stored in zip(records, found, strict=True):
        write(folder, record, truth, stored)
    text = api.report(folder.path).read_text()
    assert "3 of 5 trials measured, **1 failed**, 1 left" in text
    assert "different environment: device name GPU 0 / GPU 1" in text
    assert "2 succeeded, 1 not run yet" in text
    (lines,) = first_screens(text).values()
    assert "1 of 3 rows is not measured" in "\n".join(lines)
    rows = [row for table in main_tables(text) for row in table]
    assert sorted(re.sub(r"[\d.]+", "0", row["mAP [95 %]"]) for row in rows) == ["0", "0 [0–0] ‡", "–"]
    assert (folder.path / "report.html").is_file()


def _stored_maps(folder: SuiteFolder) -> list[float]:
    """The mAP of each trial's stored detections."""
    from harness.analysis.detections.cache import load_or_compute
    from harness.store.results import read_results

    return [predictions.map for predictions in load_or_compute(folder, read_results(folder)).values()]


@pytest.mark.parametrize("torch", ["2.15", "2.11"])
def test_a_race_counts_only_where_the_trials_ran(tmp_path: Path, torch: str) -> None:
    """In another environment its latencies do not stand beside the trials'; the page says why."""
    names = ("a", "b")
    folder = make_folder(tmp_path, [make_record(make_trial(name), map=0.5, latency_s=0.02) for name in names])
    entrants = [
        replace(make_entrant(name), configuration=configuration_key(make_trial(name)), trial_ids=(f"{name}-s0",))
        for name in names
    ]
    place = write_race(folder, make_race(*entrants))
    for block in (1, 2, 3):
        for number, name in enumerate(names, start=1):
            environment = make_environment(torch=torch, harness="9.9.9")
            seconds = 0.01 * number * (1 + block / 100)
            write_result(place, block, number, make_result(f"{name}-s0", seconds, environment=environment))
    page = page_of(folder)
    if torch == "2.15":
        assert "**Speed:** raced in 3 blocks of fresh processes." in page
        assert [row["latency ms"] for row in main_tables(page)[0]] == ["10.2", "20.4"]
    else:
        assert "without `harness race` no row is called faster (the race ran in another environment)" in page
        assert "because it ran in another environment than the trials: torch 2.11 / 2.15" in page
        assert [row["latency ms"] for row in main_tables(page)[0]] == ["20.0", "20.0"]
