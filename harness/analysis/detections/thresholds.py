"""The score threshold of best F1 for each class, and what is correct, confused and missed there.

A detection is correct if it matches a box at IoU 0.50.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.average_precision import RECALLS, curve
from harness.analysis.detections.matching import IOUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches, Overlaps
    from harness.store.arrays import StoredDetections, StoredGroundTruth


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Thresholds:
    """The score threshold of best F1 of each class; NaN if no detection of the class is correct.

    Attributes:
        thresholds: float64 [K]; detections of this score or a higher one count.
        f1: float64 [K], the F1 at the threshold.
        precision: float64 [K], the precision at the threshold.
        recall: float64 [K], the recall at the threshold.
        curves: float64 [K, 101], the interpolated precision at recalls 0 to 1.
    """

    thresholds: NDArray[np.float64]
    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    curves: NDArray[np.float64]


def best_f1(ground_truth: StoredGroundTruth, detections: StoredDetections, matches: Matches) -> F1Thresholds:
    """Find the score of each class that gives the best F1 as a threshold; of equally good ones, the highest."""
    positives = ground_truth.positives()
    classes = len(positives)
    best = np.full((4, classes), np.nan)
    curves = np.full((classes, len(RECALLS)), np.nan)
    counted = matches.ignored & 1 == 0
    for number in np.flatnonzero(positives > 0):
        rows = np.flatnonzero(counted & (detections.classes == number))
        rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
        scores, true = detections.scores[rows], np.cumsum(matches.true[rows] & 1).astype(np.int64)
        precision = true / np.arange(1, len(rows) + 1)
        recall = true / positives[number]
        curves[number] = curve(matches.true[rows] & 1 != 0, int(positives[number]))
        if len(rows) and true[-1]:
            ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))  # detections of equal score count together
            f1 = 2 * true[ends] / (ends + 1 + positives[number])
            end = ends[np.argmax(f1)]
            best[:, number] = scores[end], f1.max(), precision[end], recall[end]
    return F1Thresholds(thresholds=best[0], f1=best[1], precision=best[2], recall=best[3], curves=curves)


def reach_threshold(detections: StoredDetections, thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which detections score at least their class's threshold: bool [D]; none if the threshold is NaN."""
    minimum = thresholds[detections.classes]
    return ~np.isnan(minimum) & (detections.scores >= minimum)


def confusion(
    ground_truth: StoredGroundTruth,
    detections: StoredDetections,
    matches: Matches,
    overlaps: Overlaps,
    counted: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Count labelled class × detected class, with "nothing" as the last row and column: int64 [K + 1, K + 1].

    Detections that match a box of their class are on the diagonal. The remaining detections and boxes are paired across
    classes by falling score and IoU; what then remains is counted as "nothing" of the other side.

    Args:
        ground_truth: the boxes of the evaluated split.
        detections: all detections.
        matches: what `matching.match` returns for them.
        overlaps: what `matching.find_overlaps` returns for them.
        counted: bool [D], the detections that count; none of them may lie in a crowd region.
    """
    classes = len(ground_truth.class_names)
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    true = counted & (matches.true & 1 != 0)
    np.add.at(matrix, (detections.classes[true], detections.classes[true]), 1)
    free_boxes = ~ground_truth.crowds
    free_boxes[matches.boxes[true]] = False
    unmatched = counted & ~true
    pairs = overlaps.take(unmatched[overlaps.detections] & free_boxes[overlaps.boxes] & (overlaps.ious >= IOUS[0]))
    order = np.lexsort((-pairs.ious, pairs.detections, -detections.scores[pairs.detections]))
    for row, box in zip(pairs.detections[order].tolist(), pairs.boxes[order].tolist(), strict=True):
        if unmatched[row] and free_boxes[box]:
            unmatched[row] = free_boxes[box] = False
            matrix[ground_truth.classes[box], detections.classes[row]] += 1
    matrix[classes, :classes] = np.bincount(detections.classes[unmatched], minlength=classes)
    matrix[:classes, classes] = np.bincount(ground_truth.classes[free_boxes], minlength=classes)
    return matrix
