"""What a deployment of fine-tuned weights is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.trial.evaluate.detect import Detections
from harness.trial.models import checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


Detect = Callable[[Sequence["Tensor"]], tuple[Detections, ...]]


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


def first_line(error: BaseException) -> str:
    """Of what it says, without the place in a library's source that torch puts before it."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return re.sub(r"^.*\.(?:cpp|cu|h):\d+, ", "", line)
