"""The ways to run the same fine-tuned weights: eager at a precision, channels_last, compiled, onnxruntime.

Owns building each of them and making sure that it detects what the weights detect, before anything is timed. Whatever
an architecture or a machine cannot do ends as a `CannotDeploy` with the reason, which becomes a row of the report.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import torch

from harness.trial.deploy.agreement import agreement
from harness.trial.evaluate.detect import detect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

from harness.trial.deploy.agreement import MIN_AGREEMENT, SCORE_OF_HALF, check_agreement, detect_each
from harness.trial.deploy.base import Deployment, Weights, first_line
from harness.trial.deploy.eager import eager, of_module

_HALF = {"eager-bf16": ("bf16", torch.bfloat16), "eager-fp16": ("fp16", torch.float16)}


def fp32(_variant: str, weights: Weights, _images: Sequence[Tensor], _score: float, _detections: int) -> Deployment:
    return eager(weights.model(), weights.architecture, device=weights.device, precision="fp32")


def half(variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """The whole model in half precision, if it then runs and still finds the same; else autocast, which says why."""
    precision, dtype = _HALF[variant]
    plain = fp32("eager-fp32", weights, images, score, detections)
    plain.set_threshold(score, detections)
    reference = detect_each(plain, images)
    assert plain.model is not None
    run = partial(detect, device=weights.device, precision="fp32", dtype=dtype)
    whole = of_module(plain.model.to(dtype), weights.architecture, run, f"whole model in {precision}")
    try:
        share = agreement(reference, detect_each(whole, images), score=SCORE_OF_HALF)
    except RuntimeError as error:
        why = first_line(error)
    else:
        if share >= MIN_AGREEMENT:
            return whole
        why = f"it finds {share:.0%} of the same"
    autocast = eager(weights.model(), weights.architecture, device=weights.device, precision=precision)
    return replace(autocast, how=f"{autocast.how}; not as a whole: {why}")


def channels_last(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    model = weights.model().to(memory_format=torch.channels_last)

    def reorder(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(batch.contiguous(memory_format=torch.channels_last) for batch in inputs)

    model.get_submodule("backbone").register_forward_pre_hook(reorder)
    found = eager(model, weights.architecture, device=weights.device, precision=weights.precision)
    check_agreement(found, weights, images, score, detections)
    return replace(found, how=f"{found.how}, channels last")


def compiled(_variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """Backbone and FPN by inductor, the part without graph breaks; a break, or too many shapes, is an error here."""
    torch.compiler.reset()
    model = weights.model()
    model.backbone = cast("nn.Module", torch.compile(model.get_submodule("backbone"), fullgraph=True))
    found = eager(model, weights.architecture, device=weights.device, precision=weights.precision)
    started = time.perf_counter()
    detect_each(found, images)
    compiled = time.perf_counter()
    detect_each(found, images)
    compile_s = max(0.0, (compiled - started) - (time.perf_counter() - compiled))
    check_agreement(found, weights, images, score, detections)
    return replace(found, how=f"{found.how}, backbone and FPN by torch.compile", compile_s=compile_s)
