"""Whether two runs of the same weights find the same things: detections compared by matching, not by order.

Near-equal scores change places under the smallest rounding, so the n-th detections of two runtimes are not comparable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.ops import box_iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.trial.evaluate import Detections

_BEST = 20  # of an image: below them it depends on rounding which ones are among its 100
_IOU = 0.9


def agreement(reference: Sequence[Detections], found: Sequence[Detections], *, score: float) -> float:
    """The share of each image's best detections that are found again: same class, IoU ≥ 0.9, scores within `score`.

    The smaller one of the two directions; 1 where there is nothing to find.
    """
    return min(_found_again(reference, found, score), _found_again(found, reference, score))


def _found_again(wanted: Sequence[Detections], found: Sequence[Detections], score: float) -> float:
    again, total = 0, 0
    for one, other in zip(wanted, found, strict=True):
        best = one.scores.argsort(descending=True)[:_BEST]
        total += len(best)
        if len(other.scores):
            alike = (
                (box_iou(one.boxes[best], other.boxes) >= _IOU)
                & (one.labels[best, None] == other.labels[None])
                & ((one.scores[best, None] - other.scores[None]).abs() <= score)
            )
            again += int(alike.any(dim=1).sum())
    return again / total if total else 1.0
