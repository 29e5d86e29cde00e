"""The variants that torch runs: fp32, half precision, channels_last, compiled.

Each is checked to detect what the weights detect before it is timed. What a detector or a machine cannot do ends as an
`UnsupportedVariant` with the reason, which becomes a row of the report.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from harness.trial.deploy.agreement import (
    MAX_SCORE_DIFFERENCE_HALF,
    MIN_AGREEMENT,
    agreement,
    check_agreement,
    detect_each,
)
from harness.trial.deploy.base import Deployment, Weights, first_line
from harness.trial.deploy.eager import eager, of_detector
from harness.trial.evaluate.detect import detect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_HALF = {"eager-bf16": ("bf16", torch.bfloat16), "eager-fp16": ("fp16", torch.float16)}


def fp32(_variant: str, weights: Weights, _images: Sequence[Tensor], _score: float, _detections: int) -> Deployment:
    """The detector in float32."""
    return eager(weights.load(), device=weights.device, precision="fp32")


def half(variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """The whole detector in half precision if it then runs and detects the same; else autocast, and why."""
    precision, dtype = _HALF[variant]
    detector = weights.load()
    plain = eager(detector, device=weights.device, precision="fp32")
    plain.set_threshold(score, detections)
    reference = detect_each(plain, images)
    detector.module.to(dtype)
    run = partial(detect, device=weights.device, precision="fp32", dtype=dtype)
    whole = of_detector(detector, run, f"whole model in {precision}")
    try:
        fraction = agreement(reference, detect_each(whole, images), max_score_difference=MAX_SCORE_DIFFERENCE_HALF)
    except RuntimeError as error:
        reason = first_line(error)
    else:
        if fraction >= MIN_AGREEMENT:
            return whole
        reason = f"it finds {fraction:.0%} of the same"
    autocast = eager(weights.load(), device=weights.device, precision=precision)
    return replace(autocast, how=f"{autocast.how}; not as a whole: {reason}")


def channels_last(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    """The detector with its convolutions in the channels_last memory format, at the precision of its training.

    Raises:
        UnsupportedVariant: the detector cannot, or then detects something else.
    """
    detector = weights.load()
    detector.use_channels_last()
    deployment = eager(detector, device=weights.device, precision=weights.precision)
    check_agreement(deployment, weights, images, score, detections)
    return replace(deployment, how=f"{deployment.how}, channels last")


def compiled(_variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """The detector with the parts compiled that its family compiles, at the precision of its training.

    Compiling happens here, in a first pass over the images; its time is the difference to a second pass.

    Raises:
        UnsupportedVariant: the detector cannot, or then detects something else.
    """
    torch.compiler.reset()
    detector = weights.load()
    parts = detector.use_compiled()
    deployment = eager(detector, device=weights.device, precision=weights.precision)
    started = time.perf_counter()
    detect_each(deployment, images)
    first_pass = time.perf_counter()
    detect_each(deployment, images)
    compile_s = max(0.0, (first_pass - started) - (time.perf_counter() - first_pass))
    check_agreement(deployment, weights, images, score, detections)
    return replace(deployment, how=f"{deployment.how}, {parts} by torch.compile", compile_s=compile_s)
