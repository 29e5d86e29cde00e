"""From what a network says at each location to an image's detections: the best candidates without their doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.ops import batched_nms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harness.trial.models.yolo.letterbox import Letterboxed

OVERLAP = 0.6  # IoU from which a worse box of the same class is a double: libreyolo's own for evaluation
_CANDIDATES = 3000  # at most that many enter the suppression, whose cost grows with the square of their number
_PER_DETECTION = 10  # or that many times the detections that are asked for


def detections(
    boxes: Tensor, scores: Tensor, place: Letterboxed, *, one_class: bool, score_threshold: float, most: int
) -> Mapping[str, Tensor]:
    """An image's detections, best first.

    Args:
        boxes: float32 [N, 4], xyxy in pixels of the square, one for each location.
        scores: float32 [N, C], from 0 to 1.
        place: where in the square the image is.
        one_class: whether a location is of its best class alone, or of each that passes the threshold.
        score_threshold: scores must be above it.
        most: the number of detections at most.

    Returns:
        `boxes`, `scores` and `labels` from 1, as `Detector.detect` returns them.
    """
    classes = scores.shape[1]
    candidates = max(_CANDIDATES, _PER_DETECTION * most)
    # The number of candidates depends on shapes alone, and not on scores, so that it can be traced.
    if one_class:
        best, labels = scores.max(dim=1)
        best, index = best.topk(min(candidates, best.numel()))
        boxes, labels = boxes[index], labels[index]
    else:
        best, index = scores.flatten().topk(min(candidates, scores.numel()))
        boxes, labels = boxes[index // classes], index % classes
    boxes = place.back(boxes)
    kept = (best > score_threshold) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes, best, labels = boxes[kept], best[kept], labels[kept]
    unlike = batched_nms(boxes, best, labels, OVERLAP)[:most]
    return {"boxes": boxes[unlike], "scores": best[unlike], "labels": labels[unlike] + 1}
