"""The ways to run the same fine-tuned weights: eager at a precision, channels_last, compiled, onnxruntime.

Owns building each of them and making sure that it detects what the weights detect, before anything is timed. Whatever
an architecture or a machine cannot do ends as a `CannotDeploy` with the reason, which becomes a row of the report.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import torch

from harness.errors import CannotDeploy, HarnessError
from harness.trial import checkpoint, export
from harness.trial.agreement import agreement
from harness.trial.evaluate import Detections, detect
from harness.trial.models import build

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from harness.suite.spec import VariantName

Detect = Callable[[Sequence["Tensor"]], tuple[Detections, ...]]

_HALF = {"eager-bf16": ("bf16", torch.bfloat16), "eager-fp16": ("fp16", torch.float16)}
_AGREEMENT = 0.9
_SCORE = 0.01  # between two runtimes in fp32; in half precision each rounds in places of its own
_SCORE_OF_HALF = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Fine-tuned weights as they run somewhere.

    Attributes:
        how: what the variant came to here: whole model or autocast, a runtime's version.
        detect: a batch of images float32 [3, H, W] on the CPU → detections on the CPU: the device has finished.
        set_threshold: keep detections above a score, at most so many an image.
        batched: whether a batch passes at once, else image by image.
        model: the torch module that runs, and `postprocessor` its part that makes boxes; None under another runtime.
        compile_s: time that compiling took, outside of every other number.
        exported: what another program would run: a file's content, for the threshold that is set.
    """

    how: str
    detect: Detect
    set_threshold: Callable[[float, int], None]
    batched: bool = True
    model: nn.Module | None = None
    postprocessor: nn.Module | None = None
    compile_s: float | None = None
    exported: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the fine-tuned weights lie, and how they run by themselves: `precision` is that of their training."""

    checkpoint: Path
    architecture: str
    precision: str
    tf32: bool
    device: torch.device
    threads: int

    def model(self) -> nn.Module:
        """A fresh copy on the device."""
        return checkpoint.load(self.checkpoint)[0].to(self.device)


def eager(model: nn.Module, architecture: str, *, device: torch.device, precision: str) -> Deployment:
    """The model as it is, in evaluation mode."""
    how = "fp32" if precision == "fp32" else f"{precision} by autocast"
    return _of_module(model, architecture, partial(detect, device=device, precision=precision), how)


def load(
    variant: VariantName, weights: Weights, images: Sequence[Tensor], *, score_threshold: float, detections: int
) -> Deployment:
    """Build a variant, and see that it finds in `images` what the weights find.

    Args:
        score_threshold: accuracy's, so that there is something to compare.

    Raises:
        CannotDeploy: this architecture or this machine cannot do it; says why.
    """
    try:
        return _builders()[variant](variant, weights, images, score_threshold, detections)
    except HarnessError:
        raise
    except torch.cuda.OutOfMemoryError:
        raise CannotDeploy("out of device memory") from None
    except Exception as error:
        raise CannotDeploy(f"{type(error).__name__}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Of what it says, without the place in a library's source that torch puts before it."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return re.sub(r"^.*\.(?:cpp|cu|h):\d+, ", "", line)


def _builders() -> dict[str, Callable[..., Deployment]]:
    return {
        "eager-fp32": _fp32,
        "eager-bf16": _half,
        "eager-fp16": _half,
        "channels_last": _channels_last,
        "compile": _compiled,
        "onnxruntime": _onnxruntime,
    }


def _of_module(model: nn.Module, architecture: str, run: Callable[..., tuple[Detections, ...]], how: str) -> Deployment:
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


def _fp32(_variant: str, weights: Weights, _images: Sequence[Tensor], _score: float, _detections: int) -> Deployment:
    return eager(weights.model(), weights.architecture, device=weights.device, precision="fp32")


def _half(variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """The whole model in half precision, if it then runs and still finds the same; else autocast, which says why."""
    precision, dtype = _HALF[variant]
    plain = _fp32("eager-fp32", weights, images, score, detections)
    plain.set_threshold(score, detections)
    reference = _each(plain, images)
    assert plain.model is not None
    run = partial(detect, device=weights.device, precision="fp32", dtype=dtype)
    whole = _of_module(plain.model.to(dtype), weights.architecture, run, f"whole model in {precision}")
    try:
        share = agreement(reference, _each(whole, images), score=_SCORE_OF_HALF)
    except RuntimeError as error:
        why = first_line(error)
    else:
        if share >= _AGREEMENT:
            return whole
        why = f"it finds {share:.0%} of the same"
    autocast = eager(weights.model(), weights.architecture, device=weights.device, precision=precision)
    return replace(autocast, how=f"{autocast.how}; not as a whole: {why}")


def _channels_last(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    model = weights.model().to(memory_format=torch.channels_last)

    def reorder(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(batch.contiguous(memory_format=torch.channels_last) for batch in inputs)

    model.get_submodule("backbone").register_forward_pre_hook(reorder)
    found = eager(model, weights.architecture, device=weights.device, precision=weights.precision)
    _check(found, weights, images, score, detections)
    return replace(found, how=f"{found.how}, channels last")


def _compiled(_variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int) -> Deployment:
    """Backbone and FPN by inductor, the part without graph breaks; a break, or too many shapes, is an error here."""
    torch.compiler.reset()
    model = weights.model()
    model.backbone = cast("nn.Module", torch.compile(model.get_submodule("backbone"), fullgraph=True))
    found = eager(model, weights.architecture, device=weights.device, precision=weights.precision)
    started = time.perf_counter()
    _each(found, images)
    compiled = time.perf_counter()
    _each(found, images)
    compile_s = max(0.0, (compiled - started) - (time.perf_counter() - compiled))
    _check(found, weights, images, score, detections)
    return replace(found, how=f"{found.how}, backbone and FPN by torch.compile", compile_s=compile_s)


def _onnxruntime(
    _variant: str, weights: Weights, images: Sequence[Tensor], score: float, detections: int
) -> Deployment:
    missing = export.missing()
    if missing:
        raise CannotDeploy(f"{missing} is not installed: pip install 'detection-harness[onnx]'")
    model = weights.model().to("cpu")  # where it waits for the next export, and takes no room on the device
    plain = eager(model, weights.architecture, device=torch.device("cpu"), precision="fp32")
    runtime = export.Runtime(
        model, plain.set_threshold, images[0], device=weights.device, threads=weights.threads, tf32=weights.tf32
    )
    found = Deployment(
        how=runtime.how,
        detect=runtime.detect,
        set_threshold=runtime.set_threshold,
        batched=False,
        exported=lambda: runtime.exported,
    )
    _check(found, weights, images, score, detections)
    return found


def _check(found: Deployment, weights: Weights, images: Sequence[Tensor], threshold: float, detections: int) -> None:
    """Compare with the weights run eagerly.

    Raises:
        CannotDeploy: it finds something else.
    """
    precision = weights.precision if found.model is not None else "fp32"
    plain = eager(weights.model(), weights.architecture, device=weights.device, precision=precision)
    for deployment in (plain, found):
        deployment.set_threshold(threshold, detections)
    score = _SCORE if precision == "fp32" else _SCORE_OF_HALF
    share = agreement(_each(plain, images), _each(found, images), score=score)
    if share < _AGREEMENT:
        raise CannotDeploy(f"it detects something else than the model it was made of: only {share:.0%} is the same")


def _each(deployment: Deployment, images: Sequence[Tensor]) -> tuple[Detections, ...]:
    """Image by image, as deployed."""
    return tuple(detections for image in images for detections in deployment.detect([image]))
