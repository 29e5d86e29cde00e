"""A fine-tuned detector under onnxruntime: exported by torch's TorchScript-based exporter, for any height and width.

torch's newer exporter fails on the data-dependent shapes of detectors.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.errors import UnsupportedVariant
from harness.suite.deployment import ONNXRUNTIME
from harness.trial.deploy.agreement import check_agreement
from harness.trial.deploy.resizing import OPSET, exact_sizes, register_resize
from harness.trial.deploy.single import OUTPUTS, Built, OneImage, PerThreshold
from harness.trial.deploy.suppression import without_branches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.models.base import Detector


def to_onnx(detector: Detector, image: Tensor) -> bytes:
    """The content of an ONNX file of the detector as it is now, its score threshold included.

    Args:
        detector: on the CPU.
        image: float32 [3, H, W], to trace with.
    """
    register_resize()
    with (
        warnings.catch_warnings(),
        torch.inference_mode(),
        without_branches(),
        exact_sizes(),
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "model.onnx"
        # Of a trace, that python values become constants; what that loses shows when detections are compared.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            OneImage(detector).eval(),
            (image,),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_axes={"image": {1: "height", 2: "width"}, **{name: {0: "detections"} for name in OUTPUTS}},
        )
        return path.read_bytes()


def session(content: bytes, *, device: torch.device, threads: int, tf32: bool) -> Any:
    """An onnxruntime session of an ONNX file's content.

    Raises:
        RuntimeError: onnxruntime cannot use the device.
    """
    import onnxruntime

    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise RuntimeError("this onnxruntime has no CUDA: install onnxruntime-gpu instead of onnxruntime")
        # By itself it uses TF32, and searches for the fastest convolution at every new input shape.
        settings = {"device_id": device.index or 0, "use_tf32": int(tf32), "cudnn_conv_algo_search": "HEURISTIC"}
        providers.insert(0, ("CUDAExecutionProvider", settings))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    started = onnxruntime.InferenceSession(content, options, providers=providers)
    wanted = "CUDAExecutionProvider" if len(providers) > 1 else "CPUExecutionProvider"
    if wanted not in started.get_providers():  # it falls back to the CPU with a line in the log
        raise RuntimeError(f"onnxruntime could not start its {wanted}: see the log")
    return started


def run_session(started: Any, image: Tensor) -> list[Tensor]:
    """Boxes, scores and labels of one image: float32 [3, H, W] on the CPU."""
    return [torch.from_numpy(output) for output in started.run(None, {"image": np.ascontiguousarray(image.numpy())})]


def onnxruntime_variant(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    """The detector under onnxruntime, in float32, on the device of the weights.

    Raises:
        UnsupportedVariant: a package is missing, or the exported detector detects something else.
    """
    missing = ONNXRUNTIME.missing()
    if missing:
        raise UnsupportedVariant(missing)
    import onnxruntime

    detector = weights.load()
    detector.module.to("cpu").eval()  # where it waits for the next export, and takes no room on the device

    def build(_score: float, _detections: int) -> Built:
        content = to_onnx(detector, images[0])
        started = session(content, device=weights.device, threads=weights.threads, tf32=weights.tf32)
        return Built(run=lambda image: run_session(started, image), files=lambda: {".onnx": content})

    place = "CUDA" if weights.device.type == "cuda" else "CPU"
    deployment = PerThreshold(detector, build).deployment(f"onnxruntime {onnxruntime.__version__}, {place}, fp32")
    check_agreement(deployment, weights, images, score, detections)
    return deployment
