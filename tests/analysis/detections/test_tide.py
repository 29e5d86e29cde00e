"""Errors are told apart, and priced, as TIDE defines them: sets whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.detections.matching import match, overlaps
from harness.analysis.detections.tide import KINDS, Breakdown, break_down
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, drawn_detections, drawn_labels, labels

BOX = (0.0, 0.0, 10.0, 10.0)
PART = (0.0, 0.0, 10.0, 4.0)  # IoU 0.4 with BOX
DISC, SQUARE = 0, 1


def _broken_down(truth: StoredGroundTruth, found: StoredDetections) -> Breakdown:
    near = overlaps(truth, found)
    return break_down(truth, found, match(truth, found, near), near)


def _costs(truth: StoredGroundTruth, found: StoredDetections) -> dict[str, float]:
    return dict(zip(KINDS, _broken_down(truth, found).costs.tolist(), strict=True))


def test_one_of_each_kind_is_counted_once() -> None:
    """And what a class or a place corrected would bring is what the precision over recall says."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)], [(SQUARE, BOX)], [(SQUARE, BOX)], [])
    found = detections(
        (0, DISC, 0.9, BOX),  # right
        (0, DISC, 0.8, BOX),  # duplicate
        (1, SQUARE, 0.7, BOX),  # classification
        (2, SQUARE, 0.6, PART),  # localisation
        (3, DISC, 0.5, PART),  # both; its square is missed
        (4, DISC, 0.4, BOX),  # background
    )
    broken = _broken_down(truth, found)
    assert dict(zip(KINDS, broken.counts.tolist(), strict=True)) == dict.fromkeys(KINDS, 1)
    costs = dict(zip(KINDS, broken.costs.tolist(), strict=True))
    assert costs["classification"] == pytest.approx(50 * 2 / 3 / 101 / 2)  # a second disc at precision 2/3
    assert costs["localisation"] == pytest.approx(51 / 2 / 101 / 2)  # a first square at precision 1/2
    assert [costs[kind] for kind in ("both", "duplicate", "background", "missed")] == [0, 0, 0, 0]


def test_each_kind_has_its_price() -> None:
    """Sets where one kind alone stands between a class and what it could be."""
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
    """Two of a wrong class: the better one becomes right, the other goes; the object is not missed."""
    truth = labels([(DISC, BOX)])
    broken = _broken_down(truth, detections((0, SQUARE, 0.9, BOX), (0, SQUARE, 0.8, BOX)))
    assert dict(zip(KINDS, broken.counts.tolist(), strict=True))["classification"] == 2
    assert broken.costs[KINDS.index("classification")] == pytest.approx(1)
    assert broken.counts[KINDS.index("missed")] == 0


def test_crowds_are_neither_errors_nor_missed() -> None:
    """Detections in a crowd region count for nothing."""
    truth = labels([(DISC, (0, 0, 100, 100))], [(DISC, BOX)], crowds=[0])
    broken = _broken_down(truth, detections((0, DISC, 0.9, BOX), (1, DISC, 0.8, BOX)))
    assert broken.counts.sum() == 0
    assert np.abs(broken.costs).max() == 0


def test_every_false_detection_has_one_kind() -> None:
    """And every object that was not found is missed or could be corrected to."""
    rng = np.random.default_rng(3)
    truth = drawn_labels(rng, images=60, crowds=0.0)
    found = drawn_detections(rng, truth)
    near = overlaps(truth, found)
    matches = match(truth, found, near)
    counts = break_down(truth, found, matches, near).counts
    assert counts[:-1].sum() == (matches.true & 1 == 0).sum()
    assert counts[-1] <= len(truth.boxes) - (matches.true & 1 != 0).sum()


def test_nothing_labelled_or_nothing_found_breaks_nothing() -> None:
    """Empty on either side."""
    assert _broken_down(labels([], []), detections((0, DISC, 0.9, BOX))).counts.tolist() == [0, 0, 0, 0, 1, 0]
    nothing = _broken_down(labels([(DISC, BOX)]), detections())
    assert nothing.counts.tolist() == [0, 0, 0, 0, 0, 1]
    assert nothing.costs.tolist() == [0, 0, 0, 0, 0, 1]
