"""Which detection found which box: COCO's greedy matching, once, for all ten IoU thresholds.

In the order of falling score each detection takes, of the boxes of its class that are still free, the one of highest
IoU, if that reaches the threshold (pycocotools' `evaluateImg`, area range "all"). At which thresholds a detection found
something is kept as bits: bit t stands for IoU 0.50 + 0.05 t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.store.arrays import StoredDetections, StoredGroundTruth

IOUS = np.linspace(0.5, 0.95, 10)
NEAR = 0.1  # below this overlap two boxes have nothing to do with each other (TIDE's background threshold)
_ALL = (1 << len(IOUS)) - 1
_PAIRS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """Pairs of a detection and a box in one image that overlap, whatever their classes; sorted by detection.

    Attributes:
        detections: int64 [P].
        boxes: int64 [P].
        ious: float64 [P], at least `NEAR`; with a crowd region the intersection over the detection's area.
    """

    detections: NDArray[np.int64]
    boxes: NDArray[np.int64]
    ious: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_]) -> Overlaps:
        """Only these pairs."""
        return Overlaps(detections=self.detections[rows], boxes=self.boxes[rows], ious=self.ious[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What came of the matching.

    Attributes:
        true: uint16 [D], bits: the thresholds at which a detection found a box.
        ignored: uint16 [D], bits: those at which it lies in a crowd region and counts for nothing.
        found: int64 [D]: the box found at IoU 0.50, or −1.
    """

    true: NDArray[np.uint16]
    ignored: NDArray[np.uint16]
    found: NDArray[np.int64]


def overlaps(labels: StoredGroundTruth, detections: StoredDetections) -> Overlaps:
    """Every pair that overlaps."""
    parts = [_overlaps(labels, detections, rows) for rows in _chunks(labels, detections)]
    return Overlaps(
        detections=np.concatenate([part.detections for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        ious=np.concatenate([part.ious for part in parts]),
    )


def match(labels: StoredGroundTruth, detections: StoredDetections, near: Overlaps) -> Matches:
    """Match detections to boxes of their class.

    Args:
        near: `overlaps` of the same labels and detections.
    """
    same = labels.classes[near.boxes] == detections.classes[near.detections]
    pairs = near.take(same & (near.ious >= IOUS[0]))
    crowds = labels.crowds[pairs.boxes]
    # A box first, a crowd region only where there is none; of equal overlaps the later box, as pycocotools does.
    order = np.lexsort((-pairs.boxes, -pairs.ious, crowds, pairs.detections))
    # 1 is never reached by rounding alone: pycocotools' min(threshold, 1 - 1e-10) changes nothing below 1.
    reached = np.searchsorted(IOUS, pairs.ious[order], side="right")
    free = [_ALL] * len(labels.boxes)
    true, ignored = [0] * len(detections), [0] * len(detections)
    found = np.full(len(detections), -1, dtype=np.int64)
    rows = zip(
        pairs.detections[order].tolist(), pairs.boxes[order].tolist(), reached.tolist(), crowds[order].tolist(),
        strict=True,
    )  # fmt: skip
    for detection, box, count, crowd in rows:
        left = ((1 << count) - 1) & ~(true[detection] | ignored[detection])
        if crowd:
            ignored[detection] |= left
            continue
        taken = left & free[box]
        free[box] &= ~taken
        true[detection] |= taken
        if taken & 1:
            found[detection] = box
    return Matches(true=np.array(true, dtype=np.uint16), ignored=np.array(ignored, dtype=np.uint16), found=found)


def _chunks(labels: StoredGroundTruth, detections: StoredDetections) -> Iterator[slice]:
    """Detections in turn, so many that their pairs fit in memory."""
    pairs = np.cumsum(np.diff(labels.offsets)[detections.images])
    start = 0
    while start < len(detections):
        before = pairs[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(pairs, before + _PAIRS_AT_ONCE, side="right")))
        yield slice(start, end)
        start = end
    if not len(detections):
        yield slice(0, 0)


def _overlaps(labels: StoredGroundTruth, detections: StoredDetections, rows: slice) -> Overlaps:
    images = detections.images[rows]
    counts = np.diff(labels.offsets)[images]
    ends = np.cumsum(counts)
    pair_rows = np.repeat(np.arange(len(images)), counts)
    boxes = np.arange(len(pair_rows)) - np.repeat(ends - counts, counts) + np.repeat(labels.offsets[images], counts)
    first, second = detections.boxes[rows][pair_rows], labels.boxes[boxes]
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    own, other = (first[:, 2:] - first[:, :2]).prod(axis=1), (second[:, 2:] - second[:, :2]).prod(axis=1)
    whole = np.where(labels.crowds[boxes], own, own + other - shared)
    ious = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    near = ious >= NEAR
    return Overlaps(detections=pair_rows[near] + rows.start, boxes=boxes[near], ious=ious[near])
