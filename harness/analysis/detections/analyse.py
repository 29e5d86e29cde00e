"""All that one trial's stored detections tell, computed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections import average_precision
from harness.analysis.detections.calibration import calibrate
from harness.analysis.detections.matching import match, overlaps
from harness.analysis.detections.thresholds import best_f1, confusion, kept
from harness.analysis.detections.tide import break_down
from harness.analysis.statistics import bias_corrected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.store.tables import StoredDetections, StoredGroundTruth


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionAnalysis:
    """What a detector's detections on the evaluated split tell. K classes, I images, G boxes.

    Attributes:
        labels: which images and labels: only evidence on equal ones can be paired.
        class_names: [K].
        map: COCO's mAP on all images.
        replicates: float64 [1000], the same on images drawn with replacement; the same draws for equal `labels`.
        class_map: float64 [K]; NaN without boxes.
        class_low: float64 [K], the lower end of its 95 % interval over images.
        class_high: float64 [K].
        error_counts: int64 [6], by `tide.KINDS`.
        error_costs: float64 [6], in mAP at IoU 0.50.
        thresholds: float64 [K], of best F1 (`threshold.Cuts`).
        f1: float64 [K].
        precision: float64 [K], at that threshold.
        recall: float64 [K].
        curves: float32 [K, 101], precision over recall.
        confusion: int64 [K + 1, K + 1], at those thresholds.
        calibration_counts: int64 [10] (`threshold.Calibration`).
        calibration_scores: float64 [10].
        calibration_precision: float64 [10].
        calibration_error: over all classes.
        class_calibration_errors: float64 [K].
        offsets: int64 [I + 1]; the boxes of image i are rows offsets[i] to offsets[i + 1].
        matched: bool [G], which boxes were found at those thresholds.
        n_false_positives: int64 [I], how many detections at those thresholds found none.
        looked_for: int64 [I], how many boxes there are to find.
    """

    labels: str
    class_names: tuple[str, ...]
    map: float
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


def analyse_detections(
    labels: StoredGroundTruth, detections: StoredDetections, *, deployed: float
) -> DetectionAnalysis:
    """Match once, then everything else.

    Args:
        deployed: the deployment's score threshold, below which calibration does not look.
    """
    near = overlaps(labels, detections)
    matches = match(labels, detections, near)
    images = len(labels.images)
    whole = average_precision.average_precisions(labels, detections, matches, average_precision.once(images))
    again = average_precision.average_precisions(labels, detections, matches, average_precision.drawn(images))
    class_map = whole.mean(axis=0)[:, 0]
    low, high = _spans(class_map, again.mean(axis=0))
    errors = break_down(labels, detections, matches, near)
    cuts = best_f1(labels, detections, matches)
    calibration = calibrate(labels, detections, matches, min_score=deployed)
    shown = kept(detections, cuts.thresholds) & (matches.ignored & 1 == 0)
    true = shown & (matches.true & 1 != 0)
    matched = np.zeros(len(labels.boxes), dtype=np.bool_)
    matched[matches.found[true]] = True
    return DetectionAnalysis(
        labels=labels.fingerprint(),
        class_names=labels.class_names,
        map=float(average_precision.means(whole)[0]),
        replicates=average_precision.means(again),
        class_map=class_map,
        class_low=low,
        class_high=high,
        error_counts=errors.counts,
        error_costs=errors.costs,
        thresholds=cuts.thresholds,
        f1=cuts.f1,
        precision=cuts.precision,
        recall=cuts.recall,
        curves=cuts.curves.astype(np.float32),
        confusion=confusion(labels, detections, matches, near, shown),
        calibration_counts=calibration.counts,
        calibration_scores=calibration.scores,
        calibration_precision=calibration.precision,
        calibration_error=calibration.error,
        class_calibration_errors=calibration.class_errors,
        offsets=labels.offsets,
        matched=matched,
        n_false_positives=np.bincount(detections.images[shown & ~true], minlength=images).astype(np.int64),
        n_ground_truth=np.bincount(labels.image_of[~labels.crowds], minlength=images).astype(np.int64),
    )


def _spans(
    values: NDArray[np.float64], replicates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95 % interval of each class: two float64 [K], NaN where a class has no box."""
    low, high = np.full((2, len(values)), np.nan)
    for number in np.flatnonzero(~np.isnan(values)):
        low[number], high[number] = bias_corrected(replicates[number], float(values[number]))
    return low, high
