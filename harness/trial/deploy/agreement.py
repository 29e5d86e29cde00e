"""Whether two runs of the same weights detect the same: detections are compared by matching, not by order.

Near-equal scores change places under the smallest rounding, so the n-th detections of two runtimes are not comparable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.errors import UnsupportedVariant
from harness.trial.deploy.eager import eager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.evaluate.detect import Detections

MIN_AGREEMENT = 0.9
MAX_SCORE_DIFFERENCE = 0.01  # between two runtimes in fp32
MAX_SCORE_DIFFERENCE_HALF = 0.05  # in half precision each runtime rounds in places of its own
_BEST = 20  # of an image: below them it depends on rounding which ones are among its 100
_IOU = 0.9
_CORNERS = 0.1  # pixels; boxes that were cut to nothing at a border have no IoU


def agreement(first: Sequence[Detections], second: Sequence[Detections], *, max_score_difference: float) -> float:
    """The fraction of each image's best detections that the other run has too, from 0 to 1.

    Two detections are the same if their classes agree, their scores differ by at most `max_score_difference`, and their
    IoU is at least 0.9 or no corner differs by more than a tenth of a pixel: boxes that a detector cut to a line at the
    border, as torchvision's FCOS and RetinaNet give them, have no IoU. Of the two directions the smaller fraction
    counts; without any detections it is 1.

    Args:
        first: the detections of one run, image by image.
        second: those of the other run in the same images.
    """
    return min(
        _matched_fraction(first, second, max_score_difference), _matched_fraction(second, first, max_score_difference)
    )


def check_agreement(
    deployment: Deployment, weights: Weights, images: Sequence[Tensor], threshold: float, detections: int
) -> None:
    """Compare a deployment with the same weights run eagerly.

    Args:
        images: float32 [3, H, W] on the CPU; what both runs detect in them is compared.
        threshold: the score threshold, for both.
        detections: the largest number of detections an image, for both.

    Raises:
        UnsupportedVariant: it detects something else.
    """
    precision = weights.precision if deployment.detector is not None else "fp32"
    plain = eager(weights.load(), device=weights.device, precision=precision)
    for run in (plain, deployment):
        run.set_threshold(threshold, detections)
    difference = MAX_SCORE_DIFFERENCE if precision == "fp32" else MAX_SCORE_DIFFERENCE_HALF
    fraction = agreement(detect_each(plain, images), detect_each(deployment, images), max_score_difference=difference)
    if fraction < MIN_AGREEMENT:
        raise UnsupportedVariant(
            f"it detects something else than the model it was made of: only {fraction:.0%} is the same"
        )


def detect_each(deployment: Deployment, images: Sequence[Tensor]) -> tuple[Detections, ...]:
    """The detections in each image, image by image, as deployed."""
    return tuple(detections for image in images for detections in deployment.detect([image]))


def _matched_fraction(
    reference: Sequence[Detections], others: Sequence[Detections], max_score_difference: float
) -> float:
    """The fraction of the best detections of `reference` that `others` have too."""
    matched, total = 0, 0
    for one, other in zip(reference, others, strict=True):
        best = one.scores.argsort(descending=True)[:_BEST]
        total += len(best)
        if len(other.scores):
            same = (
                _same_place(one.boxes[best], other.boxes)
                & (one.labels[best, None] == other.labels[None])
                & ((one.scores[best, None] - other.scores[None]).abs() <= max_score_difference)
            )
            matched += int(same.any(dim=1).sum())
    return matched / total if total else 1.0


def _same_place(first: Tensor, second: Tensor) -> Tensor:
    """Whether each box of `first` [N, 4] lies where each of `second` [M, 4] does, xyxy, as [N, M]."""
    corners = (first[:, None] - second[None]).abs().amax(dim=2)
    return (_pairwise_iou(first, second) >= _IOU) | (corners <= _CORNERS)


def _pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """The IoU of each box of `first` [N, 4] with each of `second` [M, 4], xyxy, as [N, M]; nan of two without area."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = (high - low).clamp(min=0).prod(dim=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (first, second)]
    return intersection / (areas[0][:, None] + areas[1][None] - intersection)
