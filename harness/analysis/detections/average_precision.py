"""COCO's average precision from matches, on the images as they are or drawn again and again.

Drawing images with replacement changes how often each image counts, and nothing else: detections keep their order and
their matches. So an image's matches are weighted by how often it was drawn, for many replicates side by side. Precision
matters only at true positives (in between it falls), so one cumulative weight over a class' detections serves all ten
thresholds. The numbers are pycocotools' on the drawn set, to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.matching import IOUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches
    from harness.store.arrays import StoredDetections, StoredGroundTruth

RECALLS = np.linspace(0.0, 1.0, 101)
_RECALLS_AND_END = np.append(RECALLS, np.inf)
REPLICATES = 1000
_SEED = 0
_CELLS = 500_000  # of replicates by one class' detections, worked on at once: they stay in the processor's cache


def average_precisions(
    labels: StoredGroundTruth, detections: StoredDetections, matches: Matches, weights: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Average precision by threshold, class and replicate: float64 [10, K, R]; NaN where a class has no box.

    Args:
        weights: int32 [R, I], how often each image counts in each replicate.
    """
    classes, replicates = len(labels.class_names), len(weights)
    found = np.full((len(IOUS), classes, replicates), np.nan)
    image_of = labels.image_of
    for number in range(classes):
        boxes = image_of[(labels.classes == number) & ~labels.crowds]
        rows = np.flatnonzero(detections.classes == number)
        rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
        some = np.flatnonzero(matches.true[rows])
        rows = rows[: some[-1] + 1] if len(some) else rows[:0]
        step = max(1, _CELLS // max(1, len(rows), len(boxes)))
        for start in range(0, replicates, step):
            part = weights[start : start + step]
            found[:, number, start : start + step] = _of_class(
                part.take(detections.images[rows], axis=1),
                matches.true[rows],
                matches.ignored[rows],
                part.take(boxes, axis=1).sum(axis=1),
            )
    return found


def curve(hits: NDArray[np.bool_], positives: int) -> NDArray[np.float64]:
    """Interpolated precision at each of the 101 recalls, of one class at one IoU threshold: float64 [101].

    Args:
        hits: bool [D], by falling score.
        positives: how many boxes there are to find, at least one.
    """
    places = np.flatnonzero(hits) + 1
    true = np.arange(1, len(places) + 1)
    highest = np.append(np.maximum.accumulate((true / places)[::-1])[::-1], 0.0)
    return highest[np.searchsorted(true / positives, RECALLS)]


def means(precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """MAP of each replicate: float64 [R], the mean over thresholds and the classes that have boxes there."""
    there = ~np.isnan(precisions[0])
    counts = there.sum(axis=0)
    sums = np.where(there, precisions, 0.0).mean(axis=0).sum(axis=0)
    found: NDArray[np.float64] = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return found


def drawn(images: int) -> NDArray[np.int32]:
    """How often each image is drawn in each replicate: int32 [R, I], the same for the same number of images."""
    chosen = np.random.default_rng(_SEED).integers(0, images, (REPLICATES, images))
    cells = chosen + np.arange(REPLICATES)[:, None] * images
    counts = np.bincount(cells.ravel(), minlength=REPLICATES * images)
    return counts.reshape(REPLICATES, images).astype(np.int32)


def once(images: int) -> NDArray[np.int32]:
    """Every image as it is: int32 [1, I]."""
    return np.ones((1, images), dtype=np.int32)


def _of_class(
    weights: NDArray[np.int32], true: NDArray[np.uint16], ignored: NDArray[np.uint16], positives: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of one class: float64 [10, R].

    Args:
        weights: int32 [R, D] of the class' detections by falling score, up to the last that is true at any threshold.
        true: uint16 [D], bits.
        ignored: uint16 [D], bits.
        positives: [R], how many boxes there are to find.
    """
    result = np.zeros((len(IOUS), len(weights)))
    result[:, positives == 0] = np.nan
    if not positives.any():
        return result
    seen = np.cumsum(weights, axis=1, dtype=np.int32)
    for threshold in range(len(IOUS)):
        bit = np.uint16(1 << threshold)
        rows = np.flatnonzero(true & bit)
        if not len(rows):
            continue
        before = seen.take(rows, axis=1)
        without = np.flatnonzero(ignored & bit)
        if len(without):
            ignored_so_far = np.cumsum(weights.take(without, axis=1), axis=1, dtype=np.int32)
            some = np.searchsorted(without, rows)
            before[:, some > 0] -= ignored_so_far.take(some[some > 0] - 1, axis=1)
        result[threshold] += _interpolated(
            np.cumsum(weights.take(rows, axis=1), axis=1, dtype=np.int32), before, positives
        )
    return result


def _interpolated(
    true: NDArray[np.int32], seen: NDArray[np.int32], positives: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The mean over 101 recalls of the highest precision at that recall or a higher one: float64 [R].

    Each true positive stands for the recalls that it is the first to reach.

    Args:
        true: int32 [R, P], true positives so far, at each of them.
        seen: int32 [R, P], detections so far.
    """
    precision = true / np.maximum(seen, 1)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = true / np.maximum(positives, 1)[:, None]
    # How many of the 101 are reached, judged as pycocotools does by comparing floats: 0.29 is not 29 * 0.01.
    reached = (recall * 100).astype(np.int16)
    reached += _RECALLS_AND_END.take(reached + 1) <= recall
    reached -= _RECALLS_AND_END.take(reached) > recall
    first = np.diff(reached, axis=1, prepend=np.int16(-1))
    found: NDArray[np.float64] = np.einsum("rp,rp->r", first, highest) / len(RECALLS)
    return found
