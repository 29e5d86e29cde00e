"""The formats that fine-tuned weights are exported to: how each is written, and how it is run again from its file.

A written file is run again to be compared with the detector that it was made of, so each format has both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch

from harness.trial.deploy import onnx, openvino, torchscript
from harness.trial.deploy.eager import eager
from harness.trial.models import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from harness.store.shipping import ExportFormat
    from harness.suite.catalog.architecture import Architecture
    from harness.trial.deploy.base import Deployment
    from harness.trial.models.base import Detector

    Run = Callable[[Tensor], Sequence[Tensor]]  # from float32 [3, H, W] to boxes, scores and labels

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Fine-tuned weights to export.

    Attributes:
        weights: their file.
        row: their architecture.
        detector: built of them, on the CPU, in evaluation mode.
        image: float32 [3, H, W], to trace with.
        score_threshold: detections above this score are kept, and
        detections: at most so many of an image.
    """

    weights: Path
    row: Architecture
    detector: Detector
    image: Tensor
    score_threshold: float
    detections: int

    def deployed(self, detector: Detector) -> Deployment:
        """A detector of these weights, run eagerly in float32 with these thresholds."""
        deployment = eager(detector, device=_CPU, precision="fp32")
        deployment.set_threshold(self.score_threshold, self.detections)
        return deployment


class _Format(Protocol):
    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions the card names."""

    @property
    def threshold_inside(self) -> bool:
        """Whether the file holds the score threshold as a constant."""

    def contents(self, source: Source) -> Mapping[str, bytes]:
        """The content of each file by its suffix; the first one is what a program opens."""

    def opened(self, path: Path, source: Source) -> Run:
        """What the written file detects in an image."""


@dataclass(frozen=True, slots=True)
class _Onnx:
    packages: tuple[str, ...] = ("torch", "onnx", "onnxruntime")
    threshold_inside: bool = True

    def contents(self, source: Source) -> Mapping[str, bytes]:
        return {".onnx": onnx.to_onnx(source.detector, source.image)}

    def opened(self, path: Path, source: Source) -> Run:  # noqa: ARG002 - state_dict's needs it
        session = onnx.session(path.read_bytes(), device=_CPU, threads=torch.get_num_threads(), tf32=False)
        return partial(onnx.run_session, session)


@dataclass(frozen=True, slots=True)
class _TorchScript:
    packages: tuple[str, ...] = ("torch", "torchvision")
    threshold_inside: bool = True

    def contents(self, source: Source) -> Mapping[str, bytes]:
        return {".pt": torchscript.saved(torchscript.to_torchscript(source.detector, source.image))}

    def opened(self, path: Path, source: Source) -> Run:  # noqa: ARG002 - state_dict's needs it
        return partial(torchscript.run_traced, torchscript.loaded(path.read_bytes(), _CPU), device=_CPU)


@dataclass(frozen=True, slots=True)
class _OpenVino:
    packages: tuple[str, ...] = ("torch", "onnx", "openvino")
    threshold_inside: bool = True

    def contents(self, source: Source) -> Mapping[str, bytes]:
        return openvino.saved(openvino.to_model(onnx.to_onnx(source.detector, source.image)))

    def opened(self, path: Path, source: Source) -> Run:  # noqa: ARG002 - state_dict's needs it
        model = openvino.openvino().Core().read_model(path)
        return partial(openvino.run_compiled, openvino.compile_model(model, torch.get_num_threads()))


@dataclass(frozen=True, slots=True)
class _StateDict:
    """Tensors and plain values as `torch.save` writes them: a checkpoint of this program, without a line of code."""

    packages: tuple[str, ...] = ("torch", "torchvision")
    threshold_inside: bool = False

    def contents(self, source: Source) -> Mapping[str, bytes]:
        return {".pt": source.weights.read_bytes()}

    def opened(self, path: Path, source: Source) -> Run:
        detector, _ = checkpoint.load_detector(path, source.row)
        return partial(_run_eagerly, source.deployed(detector))


def _run_eagerly(deployment: Deployment, image: Tensor) -> Sequence[Tensor]:
    (found,) = deployment.detect([image])
    return found.boxes, found.scores, found.labels


FORMATS: Mapping[ExportFormat, _Format] = {
    "onnx": _Onnx(),
    "torchscript": _TorchScript(),
    "openvino": _OpenVino(),
    "state_dict": _StateDict(),
}
