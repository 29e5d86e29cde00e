"""A fine-tuned detector under onnxruntime: exported by torch's TorchScript-based exporter, for any height and width.

torch's newer exporter fails on the data-dependent shapes of detectors. An export holds the score threshold as a
constant, so each threshold is an export of its own. It is traced with one image, so images pass one by one.
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

from harness.errors import UnsupportedVariant
from harness.trial.deploy.agreement import check_agreement
from harness.trial.deploy.base import Deployment, Weights
from harness.trial.deploy.eager import eager
from harness.trial.evaluate.detect import Detections
from harness.trial.inputs.item import as_float

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.trial.models.base import Detector

OPSET = 18


def missing() -> str | None:
    """The name of a package that is needed and not installed, or None."""
    return next((name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None), None)


class _OneImage(nn.Module):
    """A detector as a module from one image [3, H, W], from 0 to 1, to boxes [N, 4], scores [N], labels [N]."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.module = detector.module  # whose weights the exporter looks for
        self._detect = detector.detect

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (detections,) = self._detect([image])
        return detections["boxes"], detections["scores"], detections["labels"]


def to_onnx(detector: Detector, image: Tensor) -> bytes:
    """The content of an ONNX file of the detector as it is now, its score threshold included.

    Args:
        detector: on the CPU.
        image: float32 [3, H, W], to trace with.
    """
    with warnings.catch_warnings(), torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # Of a trace, that python values become constants; what that loses shows when detections are compared.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _OneImage(detector).eval(),
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
    """An onnxruntime session for the threshold that is set."""

    def __init__(
        self,
        detector: Detector,
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
        self._detector, self._set_threshold, self._image = detector, set_threshold, image
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
        self.exported = to_onnx(self._detector, self._image)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.exported, options, providers=self._providers)
        wanted = "CUDAExecutionProvider" if len(self._providers) > 1 else "CPUExecutionProvider"
        if wanted not in self._session.get_providers():  # it falls back to the CPU with a line in the log
            raise RuntimeError(f"onnxruntime could not start its {wanted}: see the log")
        self._key = (score, detections)

    def detect(self, images: Sequence[Tensor]) -> tuple[Detections, ...]:
        """The detections in each image, on the CPU; one image passes after the other."""
        results = []
        for image in images:
            pixels = np.ascontiguousarray(as_float(image).numpy())
            boxes, scores, labels = self._session.run(None, {"image": pixels})
            results.append(
                Detections(
                    boxes=torch.from_numpy(boxes), scores=torch.from_numpy(scores), labels=torch.from_numpy(labels)
                )
            )
        return tuple(results)


def onnxruntime_variant(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    """The detector under onnxruntime, in float32, on the device of the weights.

    Raises:
        UnsupportedVariant: a package is missing, or the exported detector detects something else.
    """
    package = missing()
    if package:
        raise UnsupportedVariant(f"{package} is not installed: pip install 'detection-harness[onnx]'")
    detector = weights.load()
    detector.module.to("cpu")  # where it waits for the next export, and takes no room on the device
    plain = eager(detector, device=torch.device("cpu"), precision="fp32")
    runtime = Runtime(
        detector, plain.set_threshold, images[0], device=weights.device, threads=weights.threads, tf32=weights.tf32
    )
    deployment = Deployment(
        how=runtime.how,
        detect=runtime.detect,
        set_threshold=runtime.set_threshold,
        batched=False,
        exported=lambda: runtime.exported,
    )
    check_agreement(deployment, weights, images, score, detections)
    return deployment
