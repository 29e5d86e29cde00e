"""COCO's average precision, computed from matches: on all evaluated images, and without some of them at a time.

Leaving images out only changes whether each image counts: detections keep their order and their matches. So an image's
matches are weighted by 0 or 1, for many replicates at once. Precision matters only at true positives (between them it
falls), so one cumulative weight over a class's detections serves all ten thresholds. The numbers equal pycocotools' on
the images that are left. With whole weights above 1 they equal its numbers on copied images where no two detections
have the same score: copies of equal scores can be ordered in several ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.matching import IOUS
from harness.data.crowded import COCO_DETECTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches
    from harness.store.arrays import StoredDetections, StoredGroundTruth

# The thresholds that each metric is the mean over, as places in `IOUS`.
METRICS = {"map": slice(None), "map_50": slice(0, 1), "map_75": slice(5, 6)}
RECALLS = np.linspace(0.0, 1.0, 101)
_RECALLS_AND_END = np.append(RECALLS, np.inf)
MAX_GROUPS = 1000  # of images that are left out together: more would take longer and tell no more
_SEED = 0
_MAX_CELLS = 500_000  # of replicates by one class's detections at once, which fit in the processor's cache


def average_precisions(
    ground_truth: StoredGroundTruth, detections: StoredDetections, matches: Matches, weights: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return the average precision by threshold, class and replicate: float64 [10, K, R]; NaN if a class has no box.

    Args:
        ground_truth: the boxes of the evaluated split.
        detections: the detections there.
        matches: what `matching.match` returns for them.
        weights: int32 [R, I], how often each image counts in each replicate.
    """
    classes, replicates = len(ground_truth.class_names), len(weights)
    precisions = np.full((len(IOUS), classes, replicates), np.nan)
    image_of = ground_truth.image_of
    for number in range(classes):
        box_images = image_of[(ground_truth.classes == number) & ~ground_truth.crowds]
        rows = np.flatnonzero(detections.classes == number)
        rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
        true = np.flatnonzero(matches.true[rows])
        rows = rows[: true[-1] + 1] if len(true) else rows[:0]
        step = max(1, _MAX_CELLS // max(1, len(rows), len(box_images)))
        for start in range(0, replicates, step):
            chunk = weights[start : start + step]
            precisions[:, number, start : start + step] = _class_precisions(
                chunk.take(detections.images[rows], axis=1),
                matches.true[rows],
                matches.ignored[rows],
                chunk.take(box_images, axis=1).sum(axis=1),
            )
    return precisions


def counted_by_coco(detections: StoredDetections) -> NDArray[np.bool_]:
    """Tell which detections are among the best 100 of their class in their image: bool [D].

    COCO ignores the others. Detections are matched by falling score, so leaving these out changes no other match.
    """
    order = np.lexsort((-detections.scores, detections.classes, detections.images))
    images, classes = detections.images[order], detections.classes[order]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (images[1:] != images[:-1]) | (classes[1:] != classes[:-1])
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    counted = np.empty(len(order), dtype=np.bool_)
    counted[order] = np.arange(len(order)) - first < COCO_DETECTIONS
    return counted


def curve(hits: NDArray[np.bool_], positives: int) -> NDArray[np.float64]:
    """Return the interpolated precision of one class at one IoU threshold, at each of 101 recalls: float64 [101].

    Args:
        hits: bool [D], which detections are true positives, by falling score.
        positives: the number of boxes of the class, at least one.
    """
    ranks = np.flatnonzero(hits) + 1
    true = np.arange(1, len(ranks) + 1)
    highest = np.append(np.maximum.accumulate((true / ranks)[::-1])[::-1], 0.0)
    return highest[np.searchsorted(true / positives, RECALLS)]


def mean_average_precision(precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mAP of each replicate: float64 [R], the mean over thresholds and over classes that have boxes in it.

    Args:
        precisions: float64 [10, K, R], what `average_precisions` returns.
    """
    has_boxes = ~np.isnan(precisions[0])
    counts = has_boxes.sum(axis=0)
    sums = np.where(has_boxes, precisions, 0.0).mean(axis=0).sum(axis=0)
    means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means


def leave_groups_out(images: int) -> NDArray[np.int32]:
    """Leave out one group of images at a time: whether each counts in each replicate, int32 [G, I].

    A group is a single image; of more than 1,000 images, groups are drawn at random and as equal in size as possible.
    The result is the same for equal `images`, so that replicates of several detectors are paired.
    """
    groups = min(images, MAX_GROUPS)
    group_of = np.random.default_rng(_SEED).permutation(images) % groups if groups else np.zeros(0, dtype=np.int64)
    weights = np.ones((groups, images), dtype=np.int32)
    weights[group_of, np.arange(images)] = 0
    return weights


def every_image_once(images: int) -> NDArray[np.int32]:
    """Return the weights of a single replicate in which every image counts once: int32 [1, I]."""
    return np.ones((1, images), dtype=np.int32)


def expected_precisions(
    ground_truth: StoredGroundTruth, detections: StoredDetections, matches: Matches
) -> NDArray[np.float64]:
    """Return the average precisions as a much larger set of such images would have them: float64 [10, K, 1].

    Average precision takes the precision at each true positive with that true positive itself counted, and then the
    best one at any higher recall, so a class with few boxes gets too much of it. Here each true positive gets the
    precision of the detections above it: (k - 1) / (r - 1) for the k-th true positive at rank r, which is the unbiased
    estimate of a proportion under inverse sampling (Haldane, Biometrika 33, 1945). One that stands first of all gets
    the precision of the first two detections.

    NaN if a class has no box. Simulations (`tests/analysis/test_coverage.py`) show what is left of the bias.
    """
    classes = len(ground_truth.class_names)
    expected = np.full((len(IOUS), classes, 1), np.nan)
    counts = np.bincount(ground_truth.classes[~ground_truth.crowds], minlength=classes)
    for number in np.flatnonzero(counts):
        rows = np.flatnonzero(detections.classes == number)
        rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
        for threshold in range(len(IOUS)):
            bit = np.uint16(1 << threshold)
            kept = rows[(matches.ignored[rows] & bit) == 0]
            expected[threshold, number] = _precision_above((matches.true[kept] & bit) != 0).sum() / counts[number]
    return expected


def _precision_above(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each true positive the precision of the detections above it; see `expected_precisions`."""
    above = np.flatnonzero(hits)
    precision = np.arange(len(above)) / np.maximum(above, 1)
    if len(above) and above[0] == 0:
        precision[0] = hits[:2].mean()
    return precision


def _class_precisions(
    weights: NDArray[np.int32], true: NDArray[np.uint16], ignored: NDArray[np.uint16], positives: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the average precision of one class by threshold and replicate: float64 [10, R].

    Args:
        weights: int32 [R, D], how often each of the class's detections counts, by falling score, up to the last one
            that is true at any threshold.
        true: uint16 [D], bits of the thresholds at which a detection is true.
        ignored: uint16 [D], bits of the thresholds at which it is not counted.
        positives: int64 [R], the number of boxes of the class in each replicate.
    """
    result = np.zeros((len(IOUS), len(weights)))
    result[:, positives == 0] = np.nan
    if not positives.any():
        return result
    detections_so_far = np.cumsum(weights, axis=1, dtype=np.int32)
    for threshold in range(len(IOUS)):
        bit = np.uint16(1 << threshold)
        rows = np.flatnonzero(true & bit)
        if not len(rows):
            continue
        counted = detections_so_far.take(rows, axis=1)
        ignored_rows = np.flatnonzero(ignored & bit)
        if len(ignored_rows):
            ignored_so_far = np.cumsum(weights.take(ignored_rows, axis=1), axis=1, dtype=np.int32)
            n_ignored = np.searchsorted(ignored_rows, rows)
            counted[:, n_ignored > 0] -= ignored_so_far.take(n_ignored[n_ignored > 0] - 1, axis=1)
        result[threshold] += _interpolate(
            np.cumsum(weights.take(rows, axis=1), axis=1, dtype=np.int32), counted, positives
        )
    return result


def _interpolate(
    true: NDArray[np.int32], counted: NDArray[np.int32], positives: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mean over 101 recalls of the highest precision at that recall or a higher one: float64 [R].

    Each true positive stands for the recalls that it is the first to reach.

    Args:
        true: int32 [R, P], the number of true positives up to each true positive.
        counted: int32 [R, P], the number of detections up to each true positive.
        positives: int64 [R], the number of boxes in each replicate.
    """
    precision = true / np.maximum(counted, 1)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = true / np.maximum(positives, 1)[:, None]
    # How many of the 101 recalls are reached, by comparing floats as pycocotools does: 0.29 * 100 is less than 29.
    reached = (recall * 100).astype(np.int16)
    reached += _RECALLS_AND_END.take(reached + 1) <= recall
    reached -= _RECALLS_AND_END.take(reached) > recall
    newly_reached = np.diff(reached, axis=1, prepend=np.int16(-1))
    means: NDArray[np.float64] = np.einsum("rp,rp->r", newly_reached, highest) / len(RECALLS)
    return means
