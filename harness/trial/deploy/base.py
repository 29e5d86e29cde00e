"""Fine-tuned weights, and what running them somewhere means to the rest of a trial."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import foreign
from harness.trial.evaluate.detect import Detections
from harness.trial.models import checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from harness.suite.catalog.architecture import Architecture
    from harness.trial.inputs.item import Items
    from harness.trial.models.base import Detector


Detect = Callable[[Sequence["Tensor"]], tuple[Detections, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Fine-tuned weights as they run somewhere.

    Attributes:
        how: how the weights run here, in words: whole model or autocast, a runtime's version.
        detect: from a batch of images, float32 [3, H, W] on the CPU, to their detections on the CPU. It returns when
            the device has finished.
        set_threshold: keeps detections above a score, at most a number of them an image.
        batched: whether `detect` runs a batch at once, not image by image.
        detector: the detector that torch runs; None under another runtime.
        compile_s: seconds that compiling took, which are part of no other number.
        exported: what another program would run, for the threshold that is set: the content of its files by their
            names' suffixes; the first one names the others.
    """

    how: str
    detect: Detect
    set_threshold: Callable[[float, int], None]
    batched: bool = True
    detector: Detector | None = None
    compile_s: float | None = None
    exported: Callable[[], Mapping[str, bytes]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Fine-tuned weights in a file, and how they ran when they were trained.

    Attributes:
        row: the architecture.
        precision: of the training.
        tf32: whether float32 products may use TF32.
        threads: CPU threads.
        calibration: training images, which a quantiser may look at; None where there are none.
    """

    checkpoint: Path
    row: Architecture
    precision: str
    tf32: bool
    device: torch.device
    threads: int
    calibration: Items | None = None

    def load(self) -> Detector:
        """A fresh copy of the detector, on the device."""
        detector, _ = checkpoint.load_detector(self.checkpoint, self.row)
        detector.module.to(self.device)
        return detector


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without the place in a library's source that torch puts before it."""
    line = next((line.strip() for line in foreign.whole_message(error).splitlines() if line.strip()), "no message")
    return foreign.shortened(re.sub(r"^.*\.(?:cpp|cu|h):\d+, ", "", line))
