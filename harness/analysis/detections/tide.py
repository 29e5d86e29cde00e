"""What each kind of error costs: TIDE's breakdown (Bolya et al., ECCV 2020, arXiv:2008.08115, section 2.2).

Every detection that is false at IoU 0.50 has one kind of error, by its overlaps with labelled boxes; an object that no
detection can be corrected to is missed. The cost of a kind is how much mAP at IoU 0.50 would rise were all its errors
mended: a wrong class or place corrected (of several detections of one object the best one; where another found it
already, removed), others removed, missed objects not asked for. Costs do not sum to 1 − mAP: mending one uncovers
others. Crowd regions, and detections in them, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.average_precision import curve
from harness.analysis.detections.matching import IOUS, NEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches, Overlaps
    from harness.store.arrays import StoredDetections, StoredGroundTruth

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
_CLASS, _PLACE, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(KINDS))
_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Of each of `KINDS` how often it occurs, int64 [6], and what it costs in mAP at IoU 0.50, float64 [6]."""

    counts: NDArray[np.int64]
    costs: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errors:
    """Of each detection its kind (−1: none), and the box that it could be corrected to (−1: none)."""

    kinds: NDArray[np.int64]
    boxes: NDArray[np.int64]


def break_down(labels: StoredGroundTruth, detections: StoredDetections, matches: Matches, near: Overlaps) -> Breakdown:
    """Kinds of errors, and their costs.

    Args:
        near: `overlaps` of the same labels and detections.
    """
    errors = _errors(labels, detections, matches, near)
    own_classes = np.append(labels.classes, _NONE)  # the last place is that of no box, number -1
    taken = np.zeros(len(own_classes), dtype=np.bool_)
    taken[matches.found[matches.true & 1 != 0]] = True
    best = _best(detections, errors, (errors.boxes >= 0) & ~taken[errors.boxes])
    usable = taken.copy()
    usable[errors.boxes[best]] = True
    missed = labels.classes[~usable[:-1] & ~labels.crowds]

    positives = labels.positives()
    counted = matches.ignored & 1 == 0
    true = matches.true & 1 != 0
    base = _map_50(detections.classes[counted], detections.scores[counted], true[counted], positives)
    costs = np.zeros(len(KINDS))
    for kind in range(_MISSED):
        own = errors.kinds == kind
        mended = own & best if kind in {_CLASS, _PLACE} else np.zeros_like(own)
        kept = counted & (~own | mended)
        classes = np.where(mended, own_classes[errors.boxes], detections.classes)
        costs[kind] = _map_50(classes[kept], detections.scores[kept], (true | mended)[kept], positives) - base
    fewer = positives - np.bincount(missed, minlength=len(positives))
    # A class whose every object was missed drops out of the mean; with nothing left to find, all is found.
    left = _map_50(detections.classes[counted], detections.scores[counted], true[counted], fewer)
    costs[_MISSED] = (1.0 if positives.any() and not fewer.any() else left) - base
    counts = np.bincount(errors.kinds[errors.kinds >= 0], minlength=len(KINDS))
    counts[_MISSED] = len(missed)
    return Breakdown(counts=counts.astype(np.int64), costs=costs)


def _errors(labels: StoredGroundTruth, detections: StoredDetections, matches: Matches, near: Overlaps) -> _Errors:
    """The first kind that fits: place, class, duplicate, background, both."""
    pairs = near.take(~labels.crowds[near.boxes])
    same = labels.classes[pairs.boxes] == detections.classes[pairs.detections]
    own_iou, own_box = _highest(pairs.take(same), len(detections))
    other_iou, other_box = _highest(pairs.take(~same), len(detections))
    conditions = (
        (own_iou >= NEAR) & (own_iou < IOUS[0]),
        other_iou >= IOUS[0],
        own_iou >= IOUS[0],  # it would be true, were the box not taken
        np.maximum(own_iou, other_iou) <= NEAR,
    )
    kinds = np.select(conditions, (_PLACE, _CLASS, _DUPLICATE, _BACKGROUND), _BOTH)
    kinds[(matches.true & 1 != 0) | (matches.ignored & 1 != 0)] = _NONE
    boxes = np.select((kinds == _PLACE, kinds == _CLASS), (own_box, other_box), _NONE)
    return _Errors(kinds=kinds, boxes=boxes)


def _highest(pairs: Overlaps, detections: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each detection the highest overlap, 0 for none, and its box."""
    ious, boxes = np.zeros(detections), np.full(detections, _NONE, dtype=np.int64)
    order = np.lexsort((pairs.boxes, -pairs.ious, pairs.detections))
    rows, first = np.unique(pairs.detections[order], return_index=True)
    ious[rows], boxes[rows] = pairs.ious[order][first], pairs.boxes[order][first]
    return ious, boxes


def _best(detections: StoredDetections, errors: _Errors, able: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of several detections that could be corrected to one box, that of the highest score alone."""
    rows = np.flatnonzero(able)
    order = rows[np.lexsort((rows, -detections.scores[rows], errors.boxes[rows]))]
    _, first = np.unique(errors.boxes[order], return_index=True)
    chosen = np.zeros(len(able), dtype=np.bool_)
    chosen[order[first]] = True
    return chosen


def _map_50(
    classes: NDArray[np.int64], scores: NDArray[np.float64], true: NDArray[np.bool_], positives: NDArray[np.int64]
) -> float:
    """The mean over the classes that have boxes of COCO's interpolated average precision at one threshold."""
    order = np.lexsort((-scores, classes))
    classes, true = classes[order], true[order]
    borders = np.searchsorted(classes, np.arange(len(positives) + 1))
    found = []
    for number in np.flatnonzero(positives > 0):
        hits = true[borders[number] : borders[number + 1]]
        found.append(curve(hits, int(positives[number])).mean())
    return float(np.mean(found)) if found else float("nan")
