"""Kinds of errors and their costs are those that TIDE defines, on sets whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.detections.matching import find_overlaps, match
from harness.analysis.detections.tide import KINDS, Breakdown, break_down
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, drawn_detections, drawn_labels, labels

BOX = (0.0, 0.0, 10.0, 10.0)
PART = (0.0, 0.0, 10.0, 4.0)  # IoU 0.4 with BOX
DISC, SQUARE = 0, 1


def _break_down(truth: StoredGroundTruth, predictions: StoredDetections) -> Breakdown:
    overlaps = find_overlaps(truth, predictions)
    return break_down(truth, predictions, match(truth, predictions, overlaps), overlaps)


def _costs(truth: StoredGroundTruth, predictions: StoredDetections) -> dict[str, float]:
    return dict(zip(KINDS, _break_down(truth, predictions).costs.tolist(), strict=True))


def test_one_of_each_kind_is_counted_once() -> None:
    """The gain of correcting a class or a place is what the curve of precision over recall gives."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)], [(SQUARE, BOX)], [(SQUARE, BOX)], [])
    predictions = detections(
        (0, DISC, 0.9, BOX),  # right
        (0, DISC, 0.8, BOX),  # duplicate
        (1, SQUARE, 0.7, BOX),  # classification
        (2, SQUARE, 0.6, PART),  # localisation
        (3, DISC, 0.5, PART),  # both; its square is missed
        (4, DISC, 0.4, BOX),  # background
    )
    breakdown = _break_down(truth, predictions)
    assert dict(zip(KINDS, breakdown.counts.tolist(), strict=True)) == dict.fromkeys(KINDS, 1)
    costs = dict(zip(KINDS, breakdown.costs.tolist(), strict=True))
    assert costs["classification"] == pytest.approx(50 * 2 / 3 / 101 / 2)  # a second disc at precision 2/3
    assert costs["localisation"] == pytest.approx(51 / 2 / 101 / 2)  # a first square at precision 1/2
    assert [costs[kind] for kind in ("both", "duplicate", "background", "missed")] == [0, 0, 0, 0]


def test_each_kind_has_its_cost() -> None:
    """In each of these sets, a single kind of error lowers the average precision of a class."""
    two = labels([(DISC, BOX)], [(DISC, BOX)])
    assert _costs(two, detections((0, DISC, 0.9, BOX)))["missed"] == pytest.approx(50 / 101)
    duplicate = detections((0, DISC, 0.9, BOX), (0, DISC, 0.8, BOX), (1, DISC, 0.7, BOX))
    assert _costs(two, duplicate)["duplicate"] == pytest.approx(50 / 3 / 101)
    background = detections((0, DISC, 0.8, BOX), (1, DISC, 0.9, BOX))
    assert _costs(labels([(DISC, BOX)], []), background)["background"] == pytest.approx(1 / 2)
    other = labels([(SQUARE, BOX)], [(DISC, BOX)])
    both = detections((0, DISC, 0.9, PART), (1, DISC, 0.8, BOX))
    assert _costs(other, both)["both"] == pytest.approx(1 / 4)
    assert _costs(other, both)["missed"] == pytest.approx(1 / 4)  # without its object a class drops out of the mean


def test_of_several_detections_of_one_object_only_the_best_is_corrected() -> None:
    """Of two detections of a wrong class, the better one is corrected, the other removed; the object is not missed."""
    truth = labels([(DISC, BOX)])
    breakdown = _break_down(truth, detections((0, SQUARE, 0.9, BOX), (0, SQUARE, 0.8, BOX)))
    assert dict(zip(KINDS, breakdown.counts.tolist(), strict=True))["classification"] == 2
    assert breakdown.costs[KINDS.index("classification")] == pytest.approx(1)
    assert breakdown.counts[KINDS.index("missed")] == 0


def test_crowds_are_neither_errors_nor_missed() -> None:
    """Detections in a crowd region do not count."""
    truth = labels([(DISC, (0, 0, 100, 100))], [(DISC, BOX)], crowds=[0])
    breakdown = _break_down(truth, detections((0, DISC, 0.9, BOX), (1, DISC, 0.8, BOX)))
    assert breakdown.counts.sum() == 0
    assert np.abs(breakdown.costs).max() == 0


def test_every_false_detection_has_one_kind() -> None:
    """Every unmatched object is missed, or a detection can be corrected to it."""
    rng = np.random.default_rng(3)
    truth = drawn_labels(rng, images=60, crowds=0.0)
    predictions = drawn_detections(rng, truth)
    overlaps = find_overlaps(truth, predictions)
    matches = match(truth, predictions, overlaps)
    counts = break_down(truth, predictions, matches, overlaps).counts
    assert counts[:-1].sum() == (matches.true & 1 == 0).sum()
    assert counts[-1] <= len(truth.boxes) - (matches.true & 1 != 0).sum()


def test_sets_without_labels_or_without_detections_have_costs() -> None:
    """Without labels every detection is background; without detections every object is missed."""
    assert _break_down(labels([], []), detections((0, DISC, 0.9, BOX))).counts.tolist() == [0, 0, 0, 0, 1, 0]
    nothing = _break_down(labels([(DISC, BOX)]), detections())
    assert nothing.counts.tolist() == [0, 0, 0, 0, 0, 1]
    assert nothing.costs.tolist() == [0, 0, 0, 0, 0, 1]
