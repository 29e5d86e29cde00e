"""A fine-tuned detector under onnxruntime: exported by torch's TorchScript-based exporter, for any height and width.

torch's newer exporter fails on these detectors' data-dependent shapes. What an export keeps of the score threshold is a
constant, so each threshold is an export of its own. One image passes at a time: a batch was not traced.
"""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.trial.evaluate.detect import Detections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

from typing import TYPE_CHECKING

from harness.errors import UnsupportedVariant

if TYPE_CHECKING:
    from torch import Tensor

from harness.trial.deploy.agreement import check_agreement
from harness.trial.deploy.base import Deployment, Weights
from harness.trial.deploy.eager import eager

OPSET = 18


def missing() -> str | None:
    """The package that is not installed, if any."""
    return next((name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None), None)


class _OneImage(nn.Module):
    """An image [3, H, W] in 0–1 → boxes [N, 4], scores [N], labels [N]."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.detector([image])[0]
        return found["boxes"], found["scores"], found["labels"]


def to_onnx(model: nn.Module, image: Tensor) -> bytes:
    """The detector as it is now, its score threshold included, as an ONNX file."""
    with warnings.catch_warnings(), torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # Of a trace, that python values become constants; what that loses shows when detections are compared.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _OneImage(model).eval(),
            (image,),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["boxes", "scores", "labels"],
            dynamic_axes={
                "image": {1: "height", 2: "width"},
                "boxes": {0: "detections"},
                "scores": {0: "detections"},
                "labels": {0: "detections"},
            },
        )
        return path.read_bytes()


class Runtime:
    """A session for the threshold that is set."""

    def __init__(
        self,
        model: nn.Module,
        set_threshold: Callable[[float, int], None],
        image: Tensor,
        *,
        device: torch.device,
        threads: int,
        tf32: bool,
    ) -> None:
        import onnxruntime

        self._providers: list[Any] = ["CPUExecutionProvider"]
        if device.type == "cuda":
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise RuntimeError("this onnxruntime has no CUDA: install onnxruntime-gpu instead of onnxruntime")
            # By itself it uses TF32, and searches for the fastest convolution at every new input shape.
            options = {"device_id": device.index or 0, "use_tf32": int(tf32), "cudnn_conv_algo_search": "HEURISTIC"}
            self._providers.insert(0, ("CUDAExecutionProvider", options))
        self.how = f"onnxruntime {onnxruntime.__version__}, {'CUDA' if device.type == 'cuda' else 'CPU'}, fp32"
        self.exported = b""
        self._model, self._set_threshold, self._image = model, set_threshold, image
        self._threads = threads
        self._key: tuple[float, int] | None = None
        self._session: Any = None

    def set_threshold(self, score: float, detections: int) -> None:
        """Export for this threshold, unless it is the one that is set."""
        import onnxruntime

        if self._key == (score, detections):
            return
        self._session = None
        self._set_threshold(score, detections)
        self.exported = to_onnx(self._model, self._image)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.exported, options, providers=self._providers)
        wanted = "CUDAExecutionProvider" if len(self._providers) > 1 else "CPUExecutionProvider"
        if wanted not in self._session.get_providers():  # it falls back to the CPU with a line in the log
            raise RuntimeError(f"onnxruntime could not start its {wanted}: see the log")
        self._key = (score, detections)

    def detect(self, images: Sequence[Tensor]) -> tuple[Detections, ...]:
        """One image after the other."""
        found = []
        for image in images:
            boxes, scores, labels = self._session.run(None, {"image": np.ascontiguousarray(image.numpy())})
            found.append(
                Detections(
                    boxes=torch.from_numpy(boxes), scores=torch.from_numpy(scores), labels=torch.from_numpy(labels)
                )
            )
        return tuple(found)


def onnxruntime_variant(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    package = missing()
    if package:
        raise UnsupportedVariant(f"{package} is not installed: pip install 'detection-harness[onnx]'")
    model = weights.model().to("cpu")  # where it waits for the next export, and takes no room on the device
    plain = eager(model, weights.architecture, device=torch.device("cpu"), precision="fp32")
    runtime = Runtime(
        model, plain.set_threshold, images[0], device=weights.device, threads=weights.threads, tf32=weights.tf32
    )
    found = Deployment(
        how=runtime.how,
        detect=runtime.detect,
        set_threshold=runtime.set_threshold,
        batched=False,
        exported=lambda: runtime.exported,
    )
    check_agreement(found, weights, images, score, detections)
    return found
