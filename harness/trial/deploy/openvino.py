"""A fine-tuned detector under OpenVINO on a CPU, made of the ONNX export; in fp32, or with int8 where work is.

OpenVINO would by itself compute in bf16 or fp16 where a CPU has these, so the precision is always set. What is sent
home by `openvino_telemetry` is not sent: the package is kept from being imported before OpenVINO and NNCF look for it,
and both go on without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.errors import UnsupportedVariant
from harness.formatting import counted
from harness.suite.deployment import OPENVINO, OPENVINO_INT8
from harness.trial.deploy.agreement import check_agreement, detect_each
from harness.trial.deploy.onnx import to_onnx
from harness.trial.deploy.single import OUTPUTS, Built, PerThreshold
from harness.trial.inputs.item import as_float

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from harness.trial.deploy.base import Deployment, Weights
    from harness.trial.inputs.item import Items

MAX_CALIBRATION_IMAGES = 300
# Only these become int8: they are nearly all of the work, while the arithmetic of boxes would lose its pixels.
_IN_INT8 = {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul"}
# OpenVINO's own modes of ONNX' Resize ignore `antialias`; these two have it, as PIL and torch do.
_ANTIALIASED = {"linear": "bilinear_pillow", "linear_onnx": "bilinear_pillow", "cubic": "bicubic_pillow"}
_IMAGE_AND_SIZES = 2  # inputs of such a resize, whose sizes are then of all four axes
_FILE = "model.openvino-int8.xml"
_STAMP = "detection_harness"  # of the information that an OpenVINO file carries along


def openvino() -> Any:
    """The module openvino, imported without its telemetry."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # python's way to say: not installed
    import openvino as module

    return module


def nncf() -> Any:
    """The module nncf, imported without telemetry, silent but for warnings."""
    openvino()
    logging.disable(logging.WARNING)  # what it imports of torch says that it found no CUDA
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # what NNCF imports is deprecated here and there
            import nncf as module
    finally:
        logging.disable(logging.NOTSET)
    module.set_log_level(logging.WARNING)
    return module


def to_model(content: bytes) -> Any:
    """An `openvino.Model` of an ONNX file's content, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        model = openvino().convert_model(path)
    _antialias(model)
    return model


def _antialias(model: Any) -> None:
    """Let resizes of [N, C, H, W] that ask for antialiasing have it, in place."""
    operations = openvino().opset11
    height_and_width, first_axis = np.array([2, 3]), np.array(0)
    for resize in model.get_ordered_ops():
        asked = resize.get_attributes() if resize.get_type_name() == "Interpolate" else {}
        if not asked.get("antialias") or resize.get_input_size() != _IMAGE_AND_SIZES:
            continue
        antialiased = operations.interpolate(
            resize.input_value(0),
            operations.gather(
                resize.input_value(1), operations.constant(height_and_width), operations.constant(first_axis)
            ),
            _ANTIALIASED[asked["mode"]],
            asked["shape_calculation_mode"],
            axes=height_and_width,
            cube_coeff=asked["cube_coeff"],
            coordinate_transformation_mode=asked["coordinate_transformation_mode"],
        )
        resize.output(0).replace(antialiased.output(0))
    model.validate_nodes_and_infer_types()


def compile_model(model: Any, threads: int) -> Any:
    """The model compiled for the CPU: float32 where it says no other type, one image at a time, so many threads."""
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": "1",
    }
    return openvino().Core().compile_model(model, "CPU", settings)


def run_compiled(compiled: Any, image: Tensor) -> list[Tensor]:
    """Boxes, scores and labels of one image: float32 [3, H, W] on the CPU."""
    outputs = compiled(np.ascontiguousarray(image.numpy()))
    return [torch.from_numpy(outputs[name].copy()) for name in OUTPUTS]  # the runtime writes to the same memory again


def saved(model: Any) -> dict[str, bytes]:
    """The content of the two files of a model, by their suffixes: what it computes, and its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino().save_model(model, path, compress_to_fp16=False)
        return {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin")}


def quantized(model: Any, items: Items, count: int) -> Any:
    """The model with 8-bit products, by NNCF's quantisation after training.

    Args:
        items: the training images.
        count: how many of them are looked at, evenly over all.
    """
    library = nncf()
    indices = np.linspace(0, len(items) - 1, count).round().astype(int).tolist()
    images = library.Dataset(indices, lambda index: as_float(items[index].image).numpy())
    kept = sorted({node.get_type_name() for node in model.get_ordered_ops()} - _IN_INT8)
    ignored = library.IgnoredScope(types=kept, validate=False)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # numpy's, of statistics over values that are all equal
        return library.quantize(model, images, subset_size=count, ignored_scope=ignored)


def openvino_variant(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    """The detector under OpenVINO, in float32.

    Raises:
        UnsupportedVariant: a package is missing, the device is no CPU, or the converted detector detects something
            else.
    """
    _require(OPENVINO.missing(), weights)
    detector = weights.load()
    detector.module.eval()

    def build(_score: float, _detections: int) -> Built:
        model = to_model(to_onnx(detector, images[0]))
        compiled = compile_model(model, weights.threads)
        return Built(run=lambda image: run_compiled(compiled, image), files=lambda: saved(model))

    deployment = PerThreshold(detector, build).deployment(f"{_engine(weights.threads)}, fp32")
    check_agreement(deployment, weights, images, score, detections)
    return deployment


def openvino_int8(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    """The detector under OpenVINO, its convolutions and matrix products in int8, all else in float32.

    It is not compared with the weights: int8 loses accuracy, and its own mAP says how much. A file that an earlier
    process left of the same weights at the same threshold is taken as it is: a race would calibrate in every turn.

    Raises:
        UnsupportedVariant: a package is missing, the device is no CPU, there are no training images, or what it
            detects is no number.
    """
    _require(OPENVINO_INT8.missing(), weights)
    if weights.calibration is None or not len(weights.calibration):
        raise UnsupportedVariant("there are no training images to calibrate with")
    items = weights.calibration
    count = min(MAX_CALIBRATION_IMAGES, len(items))
    detector = weights.load()
    detector.module.eval()
    before = weights.checkpoint.parent.parent / _FILE
    digest = hashlib.sha256(weights.checkpoint.read_bytes()).hexdigest()

    def build(threshold: float, most: int) -> Built:
        stamp = {"weights": digest, "threshold": f"{threshold:g}", "detections": str(most), "images": str(count)}
        model = _left(before, stamp)
        if model is None:
            model = quantized(to_model(to_onnx(detector, images[0])), items, count)
            for key, value in stamp.items():
                model.set_rt_info(value, [_STAMP, key])
        compiled = compile_model(model, weights.threads)
        return Built(run=lambda image: run_compiled(compiled, image), files=lambda: saved(model))

    how = (
        f"{_engine(weights.threads)}, convolutions and matrix products in int8 by NNCF {version('nncf')}, calibrated "
        f"on {count} training images; the rest fp32"
    )
    deployment = PerThreshold(detector, build).deployment(how)
    deployment.set_threshold(score, detections)
    found = detect_each(deployment, images)
    if not all(torch.isfinite(one.boxes).all() and torch.isfinite(one.scores).all() for one in found):
        raise UnsupportedVariant("in int8 it detects boxes or scores that are no numbers")
    return deployment


def _require(missing: str | None, weights: Weights) -> None:
    """Refuse what cannot be done here.

    Raises:
        UnsupportedVariant: a package is missing, or the rows beside this one would be of another device.
    """
    if missing:
        raise UnsupportedVariant(missing)
    if weights.device.type != "cpu":
        raise UnsupportedVariant(f"OpenVINO runs on the CPU, and this is measured on {weights.device}: --device cpu")


def _engine(threads: int) -> str:
    return f"OpenVINO {version('openvino')}, CPU, {counted(threads, 'thread')}"


def _left(path: Path, stamp: Mapping[str, str]) -> Any:
    """The model in a file that carries this stamp; None where there is none."""
    if not (path.is_file() and path.with_suffix(".bin").is_file()):
        return None
    model = openvino().Core().read_model(path)
    for key, value in stamp.items():
        place = [_STAMP, key]
        if not model.has_rt_info(place) or model.get_rt_info(place).astype(str) != value:
            return None
    return model
