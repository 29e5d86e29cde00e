"""Thresholds, confusions and calibration of sets whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.detections.calibration import calibrate
from harness.analysis.detections.matching import find_overlaps, match
from harness.analysis.detections.thresholds import F1Thresholds, best_f1, confusion, reach_threshold
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, labels

BOX, OTHER = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
DISC, SQUARE = 0, 1


def _best_f1(truth: StoredGroundTruth, predictions: StoredDetections) -> F1Thresholds:
    return best_f1(truth, predictions, match(truth, predictions, find_overlaps(truth, predictions)))


def test_the_best_threshold_is_where_f1_is_highest() -> None:
    """Of detections that are right, wrong, right, wrong, the third score is best: precision and recall are 2/3."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)], [(DISC, BOX)])
    predictions = detections((0, DISC, 0.9, BOX), (0, DISC, 0.8, OTHER), (1, DISC, 0.7, BOX), (1, DISC, 0.6, OTHER))
    best = _best_f1(truth, predictions)
    assert (best.thresholds[DISC], best.f1[DISC]) == (0.7, pytest.approx(2 / 3))
    assert (best.precision[DISC], best.recall[DISC]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert np.isnan(best.thresholds[SQUARE])
    assert reach_threshold(predictions, best.thresholds).tolist() == [True, True, True, False]


def test_a_threshold_takes_all_detections_of_one_score() -> None:
    """No threshold separates a right and a wrong detection of equal score."""
    truth = labels([(DISC, BOX)])
    best = _best_f1(truth, detections((0, DISC, 0.9, BOX), (0, DISC, 0.9, OTHER)))
    assert (best.thresholds[DISC], best.precision[DISC]) == (0.9, 0.5)


def test_a_class_without_correct_detections_has_no_threshold() -> None:
    """Its threshold is NaN, and none of its detections reaches it."""
    truth = labels([(DISC, BOX)])
    predictions = detections((0, DISC, 0.9, OTHER))
    assert np.isnan(_best_f1(truth, predictions).thresholds).all()
    assert not reach_threshold(predictions, _best_f1(truth, predictions).thresholds).any()


def test_confusion_pairs_unmatched_detections_with_unmatched_boxes() -> None:
    """A disc detected as disc and as square is a hit and a false alarm; a square detected as disc is a confusion."""
    truth = labels([(DISC, BOX)], [(SQUARE, BOX)], [(DISC, BOX)])
    predictions = detections(
        (0, SQUARE, 0.9, BOX), (0, DISC, 0.8, BOX), (1, DISC, 0.7, BOX), (1, DISC, 0.6, OTHER), (2, DISC, 0.1, BOX)
    )
    overlaps = find_overlaps(truth, predictions)
    counted = predictions.scores > 0.5
    matrix = confusion(truth, predictions, match(truth, predictions, overlaps), overlaps, counted)
    #       as:         disc, square, nothing
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]


def test_calibration_error_is_the_distance_of_score_and_precision() -> None:
    """Two detections of 0.95, one of them right, and a right one of 0.55 give (2 × 0.45 + 0.45) / 3."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)])
    predictions = detections((0, DISC, 0.95, BOX), (0, DISC, 0.95, OTHER), (1, DISC, 0.55, BOX), (1, DISC, 0.01, OTHER))
    calibration = calibrate(
        truth, predictions, match(truth, predictions, find_overlaps(truth, predictions)), min_score=0.05
    )
    assert calibration.counts.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert calibration.precision[[5, 9]].tolist() == [1.0, 0.5]
    assert calibration.error == pytest.approx(0.45)
    assert calibration.class_errors[DISC] == pytest.approx(0.45)
    assert np.isnan(calibration.class_errors[SQUARE])
