"""Thresholds, confusions and calibration of sets whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.detections.calibration import calibrate
from harness.analysis.detections.matching import match, overlaps
from harness.analysis.detections.thresholds import F1Thresholds, best_f1, confusion, kept
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, labels

BOX, OTHER = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
DISC, SQUARE = 0, 1


def _cuts(truth: StoredGroundTruth, found: StoredDetections) -> F1Thresholds:
    return best_f1(truth, found, match(truth, found, overlaps(truth, found)))


def test_the_best_threshold_is_where_f1_is_highest() -> None:
    """Right, wrong, right, wrong by falling score, of three objects: the third score, with precision and recall 2/3."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)], [(DISC, BOX)])
    found = detections((0, DISC, 0.9, BOX), (0, DISC, 0.8, OTHER), (1, DISC, 0.7, BOX), (1, DISC, 0.6, OTHER))
    cuts = _cuts(truth, found)
    assert (cuts.thresholds[DISC], cuts.f1[DISC]) == (0.7, pytest.approx(2 / 3))
    assert (cuts.precision[DISC], cuts.recall[DISC]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert np.isnan(cuts.thresholds[SQUARE])
    assert kept(found, cuts.thresholds).tolist() == [True, True, True, False]


def test_a_threshold_takes_all_detections_of_one_score() -> None:
    """A right one and a wrong one that score the same cannot be told apart by any threshold."""
    truth = labels([(DISC, BOX)])
    cuts = _cuts(truth, detections((0, DISC, 0.9, BOX), (0, DISC, 0.9, OTHER)))
    assert (cuts.thresholds[DISC], cuts.precision[DISC]) == (0.9, 0.5)


def test_nothing_right_has_no_threshold() -> None:
    """Whatever is cut, nothing is found; then nothing is shown."""
    truth = labels([(DISC, BOX)])
    found = detections((0, DISC, 0.9, OTHER))
    assert np.isnan(_cuts(truth, found).thresholds).all()
    assert not kept(found, _cuts(truth, found).thresholds).any()


def test_confusion_pairs_what_is_left_after_the_right_ones() -> None:
    """A disc seen as disc and as square is a hit and a false alarm; a square seen as disc alone is a confusion."""
    truth = labels([(DISC, BOX)], [(SQUARE, BOX)], [(DISC, BOX)])
    found = detections(
        (0, SQUARE, 0.9, BOX), (0, DISC, 0.8, BOX), (1, DISC, 0.7, BOX), (1, DISC, 0.6, OTHER), (2, DISC, 0.1, BOX)
    )
    near = overlaps(truth, found)
    shown = found.scores > 0.5
    matrix = confusion(truth, found, match(truth, found, near), near, shown)
    #       as:         disc, square, nothing
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]


def test_calibration_is_the_distance_of_score_and_share() -> None:
    """Two of 0.95 of which one is right, one of 0.55 that is right: (2 × 0.45 + 0.45) / 3."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)])
    found = detections((0, DISC, 0.95, BOX), (0, DISC, 0.95, OTHER), (1, DISC, 0.55, BOX), (1, DISC, 0.01, OTHER))
    calibration = calibrate(truth, found, match(truth, found, overlaps(truth, found)), min_score=0.05)
    assert calibration.counts.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert calibration.precision[[5, 9]].tolist() == [1.0, 0.5]
    assert calibration.error == pytest.approx(0.45)
    assert calibration.class_errors[DISC] == pytest.approx(0.45)
    assert np.isnan(calibration.class_errors[SQUARE])
