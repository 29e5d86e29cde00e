"""A fine-tuned detector as TorchScript: traced with one image and frozen, run by torch without any python of a model.

Tracing takes what a detector does with one image; scripting would need every line of a family to be in the subset of
python that torch compiles. What a trace loses at other sizes shows when detections are compared.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import torch

from harness.trial.deploy.agreement import check_agreement
from harness.trial.deploy.resizing import exact_sizes
from harness.trial.deploy.single import Built, OneImage, PerThreshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.models.base import Detector


def to_torchscript(detector: Detector, image: Tensor) -> Any:
    """The detector as it is now, its score threshold included, as a frozen `torch.jit.ScriptModule`.

    Args:
        detector: in evaluation mode.
        image: float32 [3, H, W] on the detector's device, to trace with.
    """
    with warnings.catch_warnings(), torch.no_grad(), exact_sizes():
        # Of a trace, that python values become constants; of torch, that scripting will be replaced one day.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(OneImage(detector).eval(), (image,), check_trace=False)  # type: ignore[no-untyped-call]
        return torch.jit.freeze(traced.eval())


def saved(traced: Any) -> bytes:
    """The content of a file that `torch.jit.load` reads, in python and in C++."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that another kind of file will take its place one day
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def loaded(content: bytes, device: torch.device) -> Any:
    """The module in such a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that another kind of file will take its place one day
        return torch.jit.load(io.BytesIO(content), map_location=device)  # type: ignore[no-untyped-call]


def run_traced(traced: Any, image: Tensor, device: torch.device) -> list[Tensor]:
    """Boxes, scores and labels on the CPU of one image: float32 [3, H, W] on the CPU."""
    with torch.inference_mode():
        return [output.cpu() for output in traced(image.to(device))]


def torchscript(_variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """The detector as TorchScript, in float32, on the device of the weights.

    Raises:
        UnsupportedVariant: the traced detector detects something else.
    """
    detector = weights.load()
    detector.module.eval()

    def build(_score: float, _detections: int) -> Built:
        traced = to_torchscript(detector, images[0].to(weights.device))
        return Built(run=lambda image: run_traced(traced, image, weights.device), files=lambda: {".pt": saved(traced)})

    deployment = PerThreshold(detector, build).deployment("TorchScript, traced and frozen, fp32")
    check_agreement(deployment, weights, images, score, detections)
    return deployment
