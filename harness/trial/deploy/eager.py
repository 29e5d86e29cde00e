"""The detector as it is, run eagerly by torch at a precision."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.trial.deploy.base import Deployment
from harness.trial.evaluate.detect import Detections, detect

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from harness.trial.models.base import Detector


def eager(detector: Detector, *, device: torch.device, precision: str) -> Deployment:
    """Deploy the detector as it is, in evaluation mode.

    Args:
        device: where the detector is.
        precision: fp32, or bf16 or fp16 by autocast.
    """
    how = "fp32" if precision == "fp32" else f"{precision} by autocast"
    return of_detector(detector, partial(detect, device=device, precision=precision), how)


def of_detector(detector: Detector, run: Callable[..., tuple[Detections, ...]], how: str) -> Deployment:
    """Deploy the detector in evaluation mode, run by `run(detector, images)`; `how` says so in words."""
    detector.module.eval()

    def set_threshold(score: float, detections: int) -> None:
        detector.set_postprocessing(score_threshold=score, detections=detections)

    return Deployment(how=how, detect=partial(run, detector), set_threshold=set_threshold, detector=detector)
