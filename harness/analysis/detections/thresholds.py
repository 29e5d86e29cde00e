"""Where to cut the scores: the threshold of best F1 for each class, and what is right, confused and missed there.

And how far a score can be read as a probability. All at IoU 0.50.
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
    from harness.store.tables import StoredDetections, StoredGroundTruth


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Thresholds:
    """Of each class the score threshold of best F1, and what holds there; NaN where no threshold finds anything.

    Attributes:
        thresholds: float64 [K]; a detection counts from this score on, it included.
        f1: float64 [K].
        precision: float64 [K].
        recall: float64 [K].
        curves: float64 [K, 101], the interpolated precision at recalls 0 to 1.
    """

    thresholds: NDArray[np.float64]
    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    curves: NDArray[np.float64]


def best_f1(labels: StoredGroundTruth, detections: StoredDetections, matches: Matches) -> F1Thresholds:
    """Over all thresholds that a class' own scores allow; of equals the highest threshold."""
    positives = labels.positives()
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
            ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))  # a threshold takes all of one score
            f1 = 2 * true[ends] / (ends + 1 + positives[number])
            end = ends[np.argmax(f1)]
            best[:, number] = scores[end], f1.max(), precision[end], recall[end]
    return F1Thresholds(thresholds=best[0], f1=best[1], precision=best[2], recall=best[3], curves=curves)


def kept(detections: StoredDetections, thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which detections a deployment with these thresholds would show: bool [D]. A class without one shows none."""
    minimum = thresholds[detections.classes]
    return ~np.isnan(minimum) & (detections.scores >= minimum)


def confusion(
    labels: StoredGroundTruth, detections: StoredDetections, matches: Matches, near: Overlaps, shown: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Labelled class × detected class, the last row and column being "nothing": int64 [K + 1, K + 1].

    What the matching calls true is on the diagonal. Then detections and boxes that are left, of whatever class, are
    paired by falling score and IoU; the rest of each side meets nothing.

    Args:
        shown: bool [D], the detections that count: none that lies in a crowd region.
    """
    classes = len(labels.class_names)
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    true = shown & (matches.true & 1 != 0)
    np.add.at(matrix, (detections.classes[true], detections.classes[true]), 1)
    free = ~labels.crowds
    free[matches.found[true]] = False
    left = shown & ~true
    pairs = near.take(left[near.detections] & free[near.boxes] & (near.ious >= IOUS[0]))
    order = np.lexsort((-pairs.ious, pairs.detections, -detections.scores[pairs.detections]))
    for row, box in zip(pairs.detections[order].tolist(), pairs.boxes[order].tolist(), strict=True):
        if left[row] and free[box]:
            left[row] = free[box] = False
            matrix[labels.classes[box], detections.classes[row]] += 1
    matrix[classes, :classes] = np.bincount(detections.classes[left], minlength=classes)
    matrix[:classes, classes] = np.bincount(labels.classes[free], minlength=classes)
    return matrix
