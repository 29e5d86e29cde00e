"""The model as it is, run eagerly at a precision."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.trial.evaluate.detect import Detections, detect
from harness.trial.models.torchvision import build

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

from harness.trial.deploy.base import Deployment


def eager(model: nn.Module, architecture: str, *, device: torch.device, precision: str) -> Deployment:
    """The model as it is, in evaluation mode."""
    how = "fp32" if precision == "fp32" else f"{precision} by autocast"
    return of_module(model, architecture, partial(detect, device=device, precision=precision), how)


def of_module(model: nn.Module, architecture: str, run: Callable[..., tuple[Detections, ...]], how: str) -> Deployment:
    model.eval()

    def set_threshold(score: float, detections: int) -> None:
        build.set_postprocessing(model, architecture, score_threshold=score, detections=detections)

    return Deployment(
        how=how,
        detect=partial(run, model),
        set_threshold=set_threshold,
        model=model,
        postprocessor=build.postprocessor(model, architecture),
    )
