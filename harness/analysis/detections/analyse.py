"""Everything that is computed from one trial's stored detections, in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.average_precision import (
    METRICS,
    average_precisions,
    counted_by_coco,
    every_image_once,
    expected_precisions,
    leave_groups_out,
    mean_average_precision,
)
from harness.analysis.detections.calibration import calibrate
from harness.analysis.detections.matching import find_overlaps, match
from harness.analysis.detections.thresholds import best_f1, confusion, reach_threshold
from harness.analysis.detections.tide import break_down
from harness.analysis.statistics import inflated_interval, jackknife_covariance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.store.arrays import StoredDetections, StoredGroundTruth


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionAnalysis:
    """What a trial's detections on the evaluated split tell, for K classes, I images and G ground-truth boxes.

    Attributes:
        ground_truth_fingerprint: identifies the images and their ground truth; only analyses of equal ones compare.
        class_names: the K classes.
        values: float64 [3], COCO's mAP, mAP50 and mAP75 on all images, as `average_precision.METRICS` names them.
        inflations: float64 [3], by about how much they are above those of a much larger set, because classes have few
            boxes.
        replicates: float64 [3, G], each without one group of images at a time; the same groups for equal ground truth.
        class_map: float64 [K], the mAP of each class; NaN if the class has no boxes.
        class_low: float64 [K], the lower end of the 95 % interval of `class_map` over images.
        class_high: float64 [K], its upper end.
        error_counts: int64 [6], how often each of `tide.KINDS` occurs.
        error_costs: float64 [6], what each of `tide.KINDS` costs, in mAP at IoU 0.50.
        thresholds: float64 [K], the score threshold of best F1 (`thresholds.F1Thresholds`).
        f1: float64 [K], the F1 at that threshold.
        precision: float64 [K], the precision at that threshold.
        recall: float64 [K], the recall at that threshold.
        curves: float32 [K, 101], precision over recall.
        confusion: int64 [K + 1, K + 1], the confusion matrix at those thresholds.
        calibration_counts: int64 [10], detections in each bin of scores (`calibration.Calibration`).
        calibration_scores: float64 [10], their mean score.
        calibration_precision: float64 [10], the fraction of them that is correct.
        calibration_error: the expected calibration error over all classes.
        class_calibration_errors: float64 [K], the expected calibration error of each class.
        offsets: int64 [I + 1]; the boxes of image i are rows offsets[i] to offsets[i + 1].
        matched: bool [G], which boxes a detection matches at those thresholds.
        n_false_positives: int64 [I], how many detections at those thresholds match no box.
        n_ground_truth: int64 [I], how many boxes each image has, without crowd regions.
    """

    ground_truth_fingerprint: str
    class_names: tuple[str, ...]
    values: NDArray[np.float64]
    inflations: NDArray[np.float64]
    replicates: NDArray[np.float64]
    class_map: NDArray[np.float64]
    class_low: NDArray[np.float64]
    class_high: NDArray[np.float64]
    error_counts: NDArray[np.int64]
    error_costs: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    curves: NDArray[np.float32]
    confusion: NDArray[np.int64]
    calibration_counts: NDArray[np.int64]
    calibration_scores: NDArray[np.float64]
    calibration_precision: NDArray[np.float64]
    calibration_error: float
    class_calibration_errors: NDArray[np.float64]
    offsets: NDArray[np.int64]
    matched: NDArray[np.bool_]
    n_false_positives: NDArray[np.int64]
    n_ground_truth: NDArray[np.int64]

    @property
    def map(self) -> float:
        """COCO's mAP on all images; NaN if there is no box."""
        return float(self.values[0])


def analyse_detections(
    ground_truth: StoredGroundTruth, detections: StoredDetections, *, min_score: float
) -> DetectionAnalysis:
    """Match the detections to the ground truth once, and compute everything else from the matches.

    Numbers that are called mAP count what COCO counts; errors, thresholds and calibration count all detections.

    Args:
        ground_truth: the boxes of the evaluated split.
        detections: what the detector found there.
        min_score: the deployment's score threshold; calibration leaves lower scores out.
    """
    overlaps = find_overlaps(ground_truth, detections)
    matches = match(ground_truth, detections, overlaps)
    images = len(ground_truth.images)
    by_coco = counted_by_coco(detections)
    counted_detections, counted_matches = detections.take(by_coco), matches.take(by_coco)
    precisions = average_precisions(ground_truth, counted_detections, counted_matches, every_image_once(images))
    left_out = average_precisions(ground_truth, counted_detections, counted_matches, leave_groups_out(images))
    inflation = precisions - expected_precisions(ground_truth, counted_detections, counted_matches)
    class_map = precisions.mean(axis=0)[:, 0]
    low, high = _class_intervals(class_map, inflation.mean(axis=0)[:, 0], left_out.mean(axis=0))
    errors = break_down(ground_truth, detections, matches, overlaps)
    best = best_f1(ground_truth, detections, matches)
    calibration = calibrate(ground_truth, detections, matches, min_score=min_score)
    counted = reach_threshold(detections, best.thresholds) & (matches.ignored & 1 == 0)
    true = counted & (matches.true & 1 != 0)
    matched = np.zeros(len(ground_truth.boxes), dtype=np.bool_)
    matched[matches.boxes[true]] = True
    return DetectionAnalysis(
        ground_truth_fingerprint=ground_truth.fingerprint(),
        class_names=ground_truth.class_names,
        values=_metrics(precisions)[:, 0],
        inflations=_metrics(inflation)[:, 0],
        replicates=_metrics(left_out),
        class_map=class_map,
        class_low=low,
        class_high=high,
        error_counts=errors.counts,
        error_costs=errors.costs,
        thresholds=best.thresholds,
        f1=best.f1,
        precision=best.precision,
        recall=best.recall,
        curves=best.curves.astype(np.float32),
        confusion=confusion(ground_truth, detections, matches, overlaps, counted),
        calibration_counts=calibration.counts,
        calibration_scores=calibration.scores,
        calibration_precision=calibration.precision,
        calibration_error=calibration.error,
        class_calibration_errors=calibration.class_errors,
        offsets=ground_truth.offsets,
        matched=matched,
        n_false_positives=np.bincount(detections.images[counted & ~true], minlength=images).astype(np.int64),
        n_ground_truth=np.bincount(ground_truth.image_of[~ground_truth.crowds], minlength=images).astype(np.int64),
    )


def _metrics(precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mAP, mAP50 and mAP75 of each replicate: float64 [3, R]."""
    return np.array([mean_average_precision(precisions[thresholds]) for thresholds in METRICS.values()])


def _class_intervals(
    values: NDArray[np.float64], inflation: NDArray[np.float64], replicates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper ends of each class's 95 % interval: two float64 [K].

    NaN where a class has boxes in fewer than two groups of images, so that leaving one out tells nothing.
    """
    low, high = np.full((2, len(values)), np.nan)
    for number in np.flatnonzero(~np.isnan(values)):
        if np.isfinite(replicates[number]).all():
            error = math.sqrt(jackknife_covariance(replicates[number : number + 1])[0, 0])
            interval = inflated_interval(values[number], inflation[number], error, replicates.shape[1] - 1)
            low[number], high[number] = max(0.0, interval.low), min(1.0, interval.high)
    return low, high
