"""COCO's average precision, computed from matches: on all evaluated images, and without some of them at a time.

Leaving images out only changes whether each image counts: detections keep their order and their matches. So an image's
matches are weighted by 0 or 1, for many replicates at once. Precision matters only at true positives (between them it
falls), so one cumulative weight over a class's detections serves all ten thresholds. The numbers equal pycocotools' on
the images that are left. With whole weights above 1 they equal its numbers on copied images where no two detections
have the same score: copies of equal scores can be ordered in several ways.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from harness.analysis.detections.matching import IOUS
from harness.data.crowded import COCO_DETECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches
    from harness.store.arrays import StoredDetections, StoredGroundTruth

# The thresholds that each metric is the mean over, as places in `IOUS`.
METRICS = {"map": slice(None), "map_50": slice(0, 1), "map_75": slice(5, 6)}
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_GROUPS = 1000  # of images that are left out together: more would take longer and tell no more
_SEED = 0
_MAX_CELLS = 500_000  # of replicates by one class's true positives at once, which fit in the processor's cache
_MANY_COLUMNS = 32


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
    by_image = np.ascontiguousarray(weights.T)  # numpy is quickest along replicates, so they lie together
    precisions = np.full((len(IOUS), classes, replicates), np.nan)
    image_of = ground_truth.image_of
    for number in range(classes):
        box_images = image_of[(ground_truth.classes == number) & ~ground_truth.crowds]
        rows = np.flatnonzero(detections.classes == number)
        rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
        images, true, ignored = detections.images[rows], matches.true[rows], matches.ignored[rows]
        step = max(1, _MAX_CELLS // max(1, int(np.count_nonzero(true)), len(box_images)))
        for start in range(0, replicates, step):
            chunk = np.ascontiguousarray(by_image[:, start : start + step])
            positives = chunk.take(box_images, axis=0).sum(axis=0, dtype=np.int64)
            precisions[:, number, start : start + step] = _class_precisions(chunk, images, true, ignored, positives)
    return precisions


def counted_by_coco(detections: StoredDetections) -> NDArray[np.bool_]:
    """Tell which detections are among the best 100 of their class in their image: bool [D].

    COCO ignores the others. Detections are matched by falling score, so leaving these out changes no other match.
    """
    if not len(detections) or np.bincount(detections.images).max() <= COCO_DETECTIONS:
        return np.ones(len(detections), dtype=np.bool_)
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
    weights: NDArray[np.int32],
    images: NDArray[np.int64],
    true: NDArray[np.uint16],
    ignored: NDArray[np.uint16],
    positives: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the average precision of one class by threshold and replicate: float64 [10, R].

    Args:
        weights: int32 [I, R], how often each image counts.
        images: int64 [D], the image of each of the class's detections, by falling score.
        true: uint16 [D], bits of the thresholds at which a detection is true.
        ignored: uint16 [D], bits of the thresholds at which it is not counted.
        positives: int64 [R], the number of boxes of the class in each replicate.
    """
    result = np.zeros((len(IOUS), len(positives)))
    result[:, positives == 0] = np.nan
    places = np.flatnonzero(true)  # precision is only wanted where a detection is true at some threshold
    if not positives.any() or not len(places):
        return result
    # The detections up to each place: a sparse matrix counts those since the place before, by image.
    n_until = places[-1] + 1
    cells = np.ones(n_until, dtype=np.int32), images[:n_until], np.append(0, places + 1)
    since = csr_array(cells, shape=(len(places), len(weights)))
    detections_so_far = _running_sums(since @ weights)
    of_true = weights.take(images[places], axis=0)
    reached = _recalls_reached(positives)
    for threshold in range(len(IOUS)):
        bit = np.uint16(1 << threshold)
        hits = np.flatnonzero(true[places] & bit)
        if not len(hits):
            continue
        counted = detections_so_far.take(hits, axis=0)
        ignored_rows = np.flatnonzero(ignored & bit)
        if len(ignored_rows):
            ignored_so_far = _running_sums(weights.take(images[ignored_rows], axis=0))
            n_ignored = np.searchsorted(ignored_rows, places[hits])
            counted[n_ignored > 0] -= ignored_so_far.take(n_ignored[n_ignored > 0] - 1, axis=0)
        result[threshold] += _interpolate(_running_sums(of_true.take(hits, axis=0)), counted, reached)
    return result


def _running_sums(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the sums of the rows up to each one, in their place."""
    return _accumulate(np.add, rows)


def _accumulate(function: np.ufunc, rows: NDArray[Any]) -> NDArray[Any]:
    """Do what `function.accumulate` does along axis 0, in place; many columns are quicker row by row."""
    if rows.shape[1] < _MANY_COLUMNS:
        return function.accumulate(rows, axis=0, out=rows)
    for before, row in itertools.pairwise(rows):
        function(before, row, out=row)
    return rows


def _recalls_reached(positives: NDArray[np.int64]) -> Callable[[NDArray[np.int32]], NDArray[np.int16]]:
    """Return the function from numbers of true positives, int32 [P, R], to the last of the 101 recalls reached.

    Floats are compared as pycocotools does: 0.29 * 100 is less than 29.

    Args:
        positives: int64 [R], the number of boxes in each replicate, of which there are few different ones.
    """
    numbers, of_replicate = np.unique(positives, return_inverse=True)
    most = int(numbers[-1])
    recalls = np.arange(most + 1) / np.maximum(numbers, 1)[:, None]
    table = (np.searchsorted(RECALLS, recalls.ravel(), side="right") - 1).astype(np.int16)
    first = of_replicate * (most + 1)
    return lambda true: table.take(true + first)


def _interpolate(
    true: NDArray[np.int32],
    counted: NDArray[np.int32],
    recalls_reached: Callable[[NDArray[np.int32]], NDArray[np.int16]],
) -> NDArray[np.float64]:
    """Return the mean over 101 recalls of the highest precision at that recall or a higher one: float64 [R].

    Each true positive stands for the recalls that it is the first to reach.

    Args:
        true: int32 [P, R], the number of true positives up to each true positive.
        counted: int32 [P, R], the number of detections up to each true positive.
        recalls_reached: see `_recalls_reached`.
    """
    precision = true / np.maximum(counted, 1)
    highest = _accumulate(np.maximum, precision[::-1])[::-1]
    newly_reached = np.diff(recalls_reached(true), axis=0, prepend=np.int16(-1))
    means: NDArray[np.float64] = np.einsum("pr,pr->r", newly_reached, highest) / len(RECALLS)
    return means
