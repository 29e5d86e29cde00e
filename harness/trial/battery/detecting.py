"""Checks of detecting: what detections look like, that post-processing obeys, and where phases are divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.errors import UnsupportedVariant
from harness.formatting import counted
from harness.trial.battery.subject import CheckFailedError
from harness.trial.precision import autocast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.trial.battery.subject import Session
    from harness.trial.models.base import Detector

SEEN = 3  # images
MAX_DETECTIONS = 100
_FRACTION = 1.0  # the furthest corner of boxes that are fractions of the image
_OUTSIDE = 0.01  # pixels that a box may lie outside of its image by rounding
_MARKS = 2


def detections_of(session: Session, detector: Detector, images: Sequence[Tensor]) -> Sequence[Mapping[str, Tensor]]:
    """What a detector finds in images on the CPU, in evaluation mode, at the precision that is checked."""
    subject = session.subject
    detector.module.eval()
    with torch.inference_mode(), autocast(subject.device, subject.precision):
        return detector.detect([image.to(subject.device) for image in images])


def detections_are_right(session: Session) -> str:
    """Boxes in pixels of their image, scores from 0 to 1, best first, labels from 1 to the number of classes."""
    detector, subject = session.checked(), session.subject
    detector.set_postprocessing(score_threshold=0.0, detections=MAX_DETECTIONS)
    images = subject.images(SEEN)
    found = detections_of(session, detector, images)
    if len(found) != len(images):
        raise CheckFailedError(f"{len(images)} images gave detections of {len(found)}")
    for image, detections in zip(images, found, strict=True):
        _check_form(detections, subject.device)
        _check_values(image, detections, subject.classes)
    single = [detections_of(session, detector, [image])[0] for image in images]
    for detections in single:
        _check_form(detections, subject.device)
    total = sum(len(detections["scores"]) for detections in found)
    if not total:
        raise UnsupportedVariant(
            "nothing is found in noise even at a threshold of 0, so there is nothing to look at; start from --weights"
        )
    furthest = max(float(one["boxes"].max()) for one in found if len(one["boxes"]))
    if furthest <= _FRACTION:
        raise CheckFailedError(
            f"no box of {counted(total, 'detection')} reaches further than {furthest:.3g} pixels: they seem to be "
            "fractions of the image, expected pixels of the image as it was given"
        )
    return f"{counted(total, 'detection')} in {SEEN} images"


def _check_form(detections: Mapping[str, Tensor], device: torch.device) -> None:
    missing = [key for key in ("boxes", "scores", "labels") if not isinstance(detections.get(key), Tensor)]
    if missing:
        raise CheckFailedError(f"the detections of an image lack {', '.join(missing)}")
    boxes, scores, labels = detections["boxes"], detections["scores"], detections["labels"]
    shapes = [list(tensor.shape) for tensor in (boxes, scores, labels)]
    if shapes != [[len(scores), 4], [len(scores)], [len(scores)]]:
        raise CheckFailedError(f"boxes, scores and labels must be [N, 4], [N] and [N], got {shapes}")
    if not boxes.is_floating_point() or not scores.is_floating_point() or labels.dtype != torch.int64:
        raise CheckFailedError(
            f"boxes and scores must be floating-point and labels int64, got {boxes.dtype}, {scores.dtype}, "
            f"{labels.dtype}"
        )
    elsewhere = {str(tensor.device) for tensor in (boxes, scores, labels) if tensor.device.type != device.type}
    if elsewhere:
        raise CheckFailedError(f"detections lie on {', '.join(elsewhere)}, the network on {device}")


def _check_values(image: Tensor, detections: Mapping[str, Tensor], classes: int) -> None:
    boxes, scores, labels = (detections[key].float().cpu() for key in ("boxes", "scores", "labels"))
    if len(scores) > MAX_DETECTIONS:
        raise CheckFailedError(f"an image has {len(scores)} detections, after set_postprocessing(…, detections=100)")
    if not len(scores):
        return
    if not bool(torch.isfinite(boxes).all() & torch.isfinite(scores).all()):
        raise CheckFailedError("boxes or scores are not finite")
    if float(scores.min()) < 0 or float(scores.max()) > 1:
        raise CheckFailedError(f"scores from {float(scores.min()):.3g} to {float(scores.max()):.3g}, expected 0 to 1")
    if bool((scores[1:] > scores[:-1]).any()):
        raise CheckFailedError("detections are not sorted: the best must come first")
    if int(labels.min()) < 1 or int(labels.max()) > classes:
        raise CheckFailedError(
            f"labels from {int(labels.min())} to {int(labels.max())}, expected 1 to {classes}; 0 is the background"
        )
    if bool((boxes[:, 2:] < boxes[:, :2]).any()):
        raise CheckFailedError("a box has a right edge left of its left one, or a bottom above its top: expected xyxy")
    height, width = image.shape[1:]
    low, high = boxes.amin(dim=0)[:2], boxes.amax(dim=0)[2:]
    if float(low.min()) < -_OUTSIDE or bool((high > torch.tensor([width, height]) + _OUTSIDE).any()):
        raise CheckFailedError(
            f"boxes reach from {[round(float(v), 1) for v in low]} to {[round(float(v), 1) for v in high]} in an image "
            f"of {width} by {height} pixels: clip them to the image as it was given"
        )


def postprocessing_obeys(session: Session) -> str:
    """A higher threshold and a smaller number of detections leave fewer, and the best."""
    detector, images = session.checked(), session.subject.images(1)
    detector.set_postprocessing(score_threshold=0.0, detections=MAX_DETECTIONS)
    scores = detections_of(session, detector, images)[0]["scores"].float().cpu()
    if len(scores) < 2:  # noqa: PLR2004 - two are the fewest that can be told apart
        raise UnsupportedVariant("fewer than two detections in an image of noise, so there is nothing to filter")
    threshold = float((scores[0] + scores[-1]) / 2)
    detector.set_postprocessing(score_threshold=threshold, detections=MAX_DETECTIONS)
    above = detections_of(session, detector, images)[0]["scores"].float().cpu()
    if len(above) and float(above.min()) < threshold:
        raise CheckFailedError(f"a detection scores {float(above.min()):.4g}, below the threshold {threshold:.4g}")
    detector.set_postprocessing(score_threshold=0.0, detections=1)
    best = detections_of(session, detector, images)[0]["scores"].float().cpu()
    detector.set_postprocessing(score_threshold=0.0, detections=MAX_DETECTIONS)
    if len(best) != 1:
        raise CheckFailedError(f"detections: 1 leaves {len(best)} of {len(scores)}")
    if not torch.isclose(best[0], scores[0], rtol=1e-3):
        raise CheckFailedError(f"detections: 1 leaves a score of {float(best[0]):.4g}, the best is {scores[0]:.4g}")
    return f"{len(scores)} at 0, {len(above)} above {threshold:.3g}, 1 of 1"


def phases_are_marked(session: Session) -> str:
    """Within the context, each detection marks two borders; outside of it none."""
    detector, images, marks = session.checked(), session.subject.images(1), list[int]()
    with detector.mark_phases(lambda: marks.append(1)):
        for expected in (_MARKS, 2 * _MARKS):
            detections_of(session, detector, images)
            if len(marks) != expected:
                raise CheckFailedError(
                    f"a detection marks {len(marks) - expected + _MARKS} borders, expected {_MARKS}: when the images "
                    "are ready for the network, and when its raw outputs are there"
                )
    detections_of(session, detector, images)
    if len(marks) != 2 * _MARKS:
        raise CheckFailedError("a detection still marks borders after the context has ended")
    return "two borders for each detection"
