"""What each kind of error costs: TIDE's breakdown (Bolya et al., ECCV 2020, arXiv:2008.08115, section 2.2).

Every detection that is false at IoU 0.50 has one kind of error, which follows from its overlaps with labelled boxes; an
object that no detection can be corrected to is missed. The cost of a kind is how much mAP at IoU 0.50 would rise if all
errors of this kind were fixed. A wrong class or a wrong place is fixed by correcting it; if several detections could be
corrected to the same object, the best one is corrected and the others are removed, and if the object is matched
already, all are removed. Missed objects are fixed by leaving them out, other errors by removing the detection. Costs do
not sum to 1 − mAP, because fixing one error uncovers others. Crowd regions, and detections in them, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.average_precision import curve
from harness.analysis.detections.matching import IOUS, MIN_IOU

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches, Overlaps
    from harness.store.arrays import StoredDetections, StoredGroundTruth

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
_CLASS, _PLACE, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(KINDS))
_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """How often each of `KINDS` occurs (int64 [6]), and what it costs in mAP at IoU 0.50 (float64 [6])."""

    counts: NDArray[np.int64]
    costs: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errors:
    """The kind of error of each detection, and the box that it could be corrected to; −1 is none. Both int64 [D]."""

    kinds: NDArray[np.int64]
    boxes: NDArray[np.int64]


def break_down(
    ground_truth: StoredGroundTruth, detections: StoredDetections, matches: Matches, overlaps: Overlaps
) -> Breakdown:
    """Count the errors of each kind, and compute what each kind costs.

    Args:
        ground_truth: the boxes of the evaluated split.
        detections: the detections there.
        matches: what `matching.match` returns for them.
        overlaps: what `matching.find_overlaps` returns for them.
    """
    errors = _find_errors(ground_truth, detections, matches, overlaps)
    box_classes = np.append(ground_truth.classes, _NONE)  # the last element belongs to "no box", whose number is -1
    matched = np.zeros(len(box_classes), dtype=np.bool_)
    matched[matches.boxes[matches.true & 1 != 0]] = True
    best = _best_of_each_box(detections, errors, (errors.boxes >= 0) & ~matched[errors.boxes])
    reachable = matched.copy()
    reachable[errors.boxes[best]] = True
    missed = ground_truth.classes[~reachable[:-1] & ~ground_truth.crowds]

    positives = ground_truth.positives()
    counted = matches.ignored & 1 == 0
    true = matches.true & 1 != 0
    by_score = np.argsort(-detections.scores, kind="stable")
    base = _map_50(detections.classes, true, by_score[counted[by_score]], positives)
    costs = np.zeros(len(KINDS))
    for kind in range(_MISSED):
        of_kind = errors.kinds == kind
        corrected = of_kind & best if kind in {_CLASS, _PLACE} else np.zeros_like(of_kind)
        kept = counted & (~of_kind | corrected)
        classes = np.where(corrected, box_classes[errors.boxes], detections.classes)
        costs[kind] = _map_50(classes, true | corrected, by_score[kept[by_score]], positives) - base
    not_missed = positives - np.bincount(missed, minlength=len(positives))
    # A class whose every object was missed drops out of the mean; if that leaves no object at all, mAP is 1.
    without_missed = _map_50(detections.classes, true, by_score[counted[by_score]], not_missed)
    costs[_MISSED] = (1.0 if positives.any() and not not_missed.any() else without_missed) - base
    counts = np.bincount(errors.kinds[errors.kinds >= 0], minlength=len(KINDS))
    counts[_MISSED] = len(missed)
    return Breakdown(counts=counts.astype(np.int64), costs=costs)


def _find_errors(
    ground_truth: StoredGroundTruth, detections: StoredDetections, matches: Matches, overlaps: Overlaps
) -> _Errors:
    """Give each false detection the first kind that fits: place, class, duplicate, background, both."""
    pairs = overlaps.take(~ground_truth.crowds[overlaps.boxes])
    same_class = ground_truth.classes[pairs.boxes] == detections.classes[pairs.detections]
    same_class_iou, same_class_box = _best_overlap(pairs.take(same_class), len(detections))
    other_class_iou, other_class_box = _best_overlap(pairs.take(~same_class), len(detections))
    conditions = (
        (same_class_iou >= MIN_IOU) & (same_class_iou < IOUS[0]),
        other_class_iou >= IOUS[0],
        same_class_iou >= IOUS[0],  # it would be true if no other detection matched the box already
        np.maximum(same_class_iou, other_class_iou) <= MIN_IOU,
    )
    kinds = np.select(conditions, (_PLACE, _CLASS, _DUPLICATE, _BACKGROUND), _BOTH)
    kinds[(matches.true & 1 != 0) | (matches.ignored & 1 != 0)] = _NONE
    boxes = np.select((kinds == _PLACE, kinds == _CLASS), (same_class_box, other_class_box), _NONE)
    return _Errors(kinds=kinds, boxes=boxes)


def _best_overlap(pairs: Overlaps, detections: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the highest IoU of each detection and its box; 0 and −1 if the detection overlaps no box."""
    ious, boxes = np.zeros(detections), np.full(detections, _NONE, dtype=np.int64)
    order = np.lexsort((pairs.boxes, -pairs.ious, pairs.detections))
    rows, first = np.unique(pairs.detections[order], return_index=True)
    ious[rows], boxes[rows] = pairs.ious[order][first], pairs.boxes[order][first]
    return ious, boxes


def _best_of_each_box(
    detections: StoredDetections, errors: _Errors, correctable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Select the detection of highest score among those that could be corrected to the same box: bool [D]."""
    rows = np.flatnonzero(correctable)
    order = rows[np.lexsort((rows, -detections.scores[rows], errors.boxes[rows]))]
    _, first = np.unique(errors.boxes[order], return_index=True)
    best = np.zeros(len(correctable), dtype=np.bool_)
    best[order[first]] = True
    return best


def _map_50(
    classes: NDArray[np.int64], true: NDArray[np.bool_], by_score: NDArray[np.intp], positives: NDArray[np.int64]
) -> float:
    """Return COCO's interpolated average precision at IoU 0.50, averaged over the classes that have boxes.

    Args:
        classes: int64 [D], the class of each detection.
        true: bool [D], which detections are true positives.
        by_score: the detections that count, by falling score.
        positives: int64 [K], how many boxes each class has.
    """
    # Numpy sorts integers of 8 or 16 bits by counting, which takes a fifth of the time.
    classes, true = classes[by_score].astype(np.min_scalar_type(len(positives))), true[by_score]
    order = np.argsort(classes, kind="stable")
    classes, true = classes[order], true[order]
    starts = np.searchsorted(classes, np.arange(len(positives) + 1))
    precisions = []
    for number in np.flatnonzero(positives > 0):
        hits = true[starts[number] : starts[number + 1]]
        precisions.append(curve(hits, int(positives[number])).mean())
    return float(np.mean(precisions)) if precisions else float("nan")
