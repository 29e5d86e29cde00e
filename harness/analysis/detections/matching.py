"""Which detection matches which box: COCO's greedy matching, done once for all ten IoU thresholds.

Detections are visited by falling score. Each one takes the box of highest IoU among the boxes of its class that are
still free, if that IoU reaches the threshold (pycocotools' `evaluateImg`, area range "all"). The thresholds at which a
detection has a match are stored as bits: bit t stands for IoU 0.50 + 0.05 t.
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
MIN_IOU = 0.1  # boxes that overlap less are unrelated (TIDE's background threshold)
_ALL_BITS = (1 << len(IOUS)) - 1
_MAX_PAIRS = 2_000_000  # of one chunk, which bounds the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """Pairs of a detection and a box of one image that overlap, whatever their classes, sorted by detection.

    Attributes:
        detections: int64 [P], the detection of each pair.
        boxes: int64 [P], the ground-truth box of each pair.
        ious: float64 [P], at least `MIN_IOU`; for a crowd region, the intersection divided by the detection's area.
    """

    detections: NDArray[np.int64]
    boxes: NDArray[np.int64]
    ious: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_]) -> Overlaps:
        """Return the selected pairs (bool [P])."""
        return Overlaps(detections=self.detections[rows], boxes=self.boxes[rows], ious=self.ious[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The result of matching D detections.

    Attributes:
        true: uint16 [D], bits of the thresholds at which a detection matches a box.
        ignored: uint16 [D], bits of the thresholds at which it lies in a crowd region and is not counted.
        boxes: int64 [D], the box that it matches at IoU 0.50, or −1.
    """

    true: NDArray[np.uint16]
    ignored: NDArray[np.uint16]
    boxes: NDArray[np.int64]

    def take(self, rows: NDArray[np.bool_]) -> Matches:
        """Only those of some detections."""
        return Matches(true=self.true[rows], ignored=self.ignored[rows], boxes=self.boxes[rows])


def find_overlaps(ground_truth: StoredGroundTruth, detections: StoredDetections) -> Overlaps:
    """Find every pair of a detection and a box that overlap."""
    chunks = [_overlaps_of(ground_truth, detections, rows) for rows in _chunks(ground_truth, detections)]
    return Overlaps(
        detections=np.concatenate([chunk.detections for chunk in chunks]),
        boxes=np.concatenate([chunk.boxes for chunk in chunks]),
        ious=np.concatenate([chunk.ious for chunk in chunks]),
    )


def match(ground_truth: StoredGroundTruth, detections: StoredDetections, overlaps: Overlaps) -> Matches:
    """Match detections to boxes of their class.

    Args:
        ground_truth: the boxes of the evaluated split.
        detections: the detections to match.
        overlaps: what `find_overlaps` returns for the same ground truth and detections.
    """
    same_class = ground_truth.classes[overlaps.boxes] == detections.classes[overlaps.detections]
    pairs = overlaps.take(same_class & (overlaps.ious >= IOUS[0]))
    crowds = ground_truth.crowds[pairs.boxes]
    # As in pycocotools, boxes come before crowd regions, and of equal overlaps the later box is taken.
    order = np.lexsort((-pairs.boxes, -pairs.ious, crowds, pairs.detections))
    # No threshold is 1, so that pycocotools' min(threshold, 1 - 1e-10) would change nothing here.
    reached = np.searchsorted(IOUS, pairs.ious[order], side="right")
    free = [_ALL_BITS] * len(ground_truth.boxes)
    true, ignored = [0] * len(detections), [0] * len(detections)
    boxes = np.full(len(detections), -1, dtype=np.int64)
    rows = zip(
        pairs.detections[order].tolist(), pairs.boxes[order].tolist(), reached.tolist(), crowds[order].tolist(),
        strict=True,
    )  # fmt: skip
    for detection, box, count, crowd in rows:
        unmatched = ((1 << count) - 1) & ~(true[detection] | ignored[detection])
        if crowd:
            ignored[detection] |= unmatched
            continue
        new_matches = unmatched & free[box]
        free[box] &= ~new_matches
        true[detection] |= new_matches
        if new_matches & 1:
            boxes[detection] = box
    return Matches(true=np.array(true, dtype=np.uint16), ignored=np.array(ignored, dtype=np.uint16), boxes=boxes)


def _chunks(ground_truth: StoredGroundTruth, detections: StoredDetections) -> Iterator[slice]:
    """Yield slices of the detections that are small enough for their pairs to fit in memory."""
    pairs = np.cumsum(np.diff(ground_truth.offsets)[detections.images])
    start = 0
    while start < len(detections):
        before = pairs[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(pairs, before + _MAX_PAIRS, side="right")))
        yield slice(start, end)
        start = end
    if not len(detections):
        yield slice(0, 0)


def _overlaps_of(ground_truth: StoredGroundTruth, detections: StoredDetections, rows: slice) -> Overlaps:
    """Find the overlaps of some of the detections."""
    images = detections.images[rows]
    counts = np.diff(ground_truth.offsets)[images]
    ends = np.cumsum(counts)
    pair_rows = np.repeat(np.arange(len(images)), counts)
    first_boxes = np.repeat(ground_truth.offsets[images], counts)
    boxes = np.arange(len(pair_rows)) - np.repeat(ends - counts, counts) + first_boxes
    detected, labelled = detections.boxes[rows], ground_truth.boxes
    intersections = _shared_sides(detected, labelled, pair_rows, boxes, 0)
    intersections *= _shared_sides(detected, labelled, pair_rows, boxes, 1)
    detected_areas, labelled_areas = _areas(detected)[pair_rows], _areas(labelled)[boxes]
    unions = np.where(ground_truth.crowds[boxes], detected_areas, detected_areas + labelled_areas - intersections)
    ious = np.divide(intersections, unions, out=np.zeros_like(intersections), where=unions > 0)
    overlapping = ious >= MIN_IOU
    return Overlaps(detections=pair_rows[overlapping] + rows.start, boxes=boxes[overlapping], ious=ious[overlapping])


def _shared_sides(
    detected: NDArray[np.float64],
    labelled: NDArray[np.float64],
    rows: NDArray[np.int64],
    boxes: NDArray[np.int64],
    axis: int,
) -> NDArray[np.float64]:
    """Return the width (axis 0) or the height (1) of the intersection of each pair of boxes; 0 where there is none."""
    ends = np.minimum(detected[rows, axis + 2], labelled[boxes, axis + 2])
    starts = np.maximum(detected[rows, axis], labelled[boxes, axis])
    sides: NDArray[np.float64] = np.maximum(ends - starts, 0.0)
    return sides


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
