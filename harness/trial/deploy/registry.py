"""Which function builds which variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import HarnessError, UnsupportedVariant
from harness.trial.deploy.base import Deployment, Weights, first_line
from harness.trial.deploy.onnx import onnxruntime_variant
from harness.trial.deploy.openvino import openvino_int8, openvino_variant
from harness.trial.deploy.pytorch import channels_last, compiled, fp32, half
from harness.trial.deploy.torchscript import torchscript
from harness.trial.failure import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from harness.suite.schema import VariantName


def load(
    variant: VariantName, weights: Weights, images: Sequence[Tensor], *, score_threshold: float, detections: int
) -> Deployment:
    """Build a variant, and check that it detects in `images` what the weights detect; int8 is judged by its own mAP.

    Args:
        images: a few, of different shapes where there are.
        score_threshold: the one that accuracy is measured at, so that there is something to compare.

    Raises:
        UnsupportedVariant: this detector or this machine cannot do it; the text says why.
    """
    try:
        return _builders()[variant](variant, weights, images, score_threshold, detections)
    except HarnessError:
        raise
    except Exception as error:
        memory = out_of_memory(error)
        if memory is not None:
            raise UnsupportedVariant(f"out of {memory} memory") from None
        raise UnsupportedVariant(f"{type(error).__name__}: {first_line(error)}") from error


def _builders() -> dict[str, Callable[..., Deployment]]:
    return {
        "eager-fp32": fp32,
        "eager-bf16": half,
        "eager-fp16": half,
        "channels_last": channels_last,
        "compile": compiled,
        "torchscript": torchscript,
        "onnxruntime": onnxruntime_variant,
        "openvino": openvino_variant,
        "openvino-int8": openvino_int8,
    }
