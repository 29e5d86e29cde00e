"""Whether two runs of the same weights find the same things: detections compared by matching, not by order.

Near-equal scores change places under the smallest rounding, so the n-th detections of two runtimes are not comparable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.ops import box_iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.evaluate.detect import Detections


from typing import TYPE_CHECKING

from harness.errors import UnsupportedVariant

if TYPE_CHECKING:
    from torch import Tensor

from harness.trial.deploy.eager import eager

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


MIN_AGREEMENT = 0.9
_SCORE = 0.01  # between two runtimes in fp32; in half precision each rounds in places of its own
SCORE_OF_HALF = 0.05


def check_agreement(
    found: Deployment, weights: Weights, images: Sequence[Tensor], threshold: float, detections: int
) -> None:
    """Compare with the weights run eagerly.

    Raises:
        CannotDeploy: it finds something else.
    """
    precision = weights.precision if found.model is not None else "fp32"
    plain = eager(weights.model(), weights.architecture, device=weights.device, precision=precision)
    for deployment in (plain, found):
        deployment.set_threshold(threshold, detections)
    score = _SCORE if precision == "fp32" else SCORE_OF_HALF
    share = agreement(detect_each(plain, images), detect_each(found, images), score=score)
    if share < MIN_AGREEMENT:
        raise UnsupportedVariant(
            f"it detects something else than the model it was made of: only {share:.0%} is the same"
        )


def detect_each(deployment: Deployment, images: Sequence[Tensor]) -> tuple[Detections, ...]:
    """Image by image, as deployed."""
    return tuple(detections for image in images for detections in deployment.detect([image]))
