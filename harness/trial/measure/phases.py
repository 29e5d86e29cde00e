"""How the time of one image divides into transform, forward and post-processing.

These timings are separate from the latency, because the synchronisation at the inner borders adds to the total. Their
rounds take turns with those of the latency pass, so that both see the machine in the same state. Where the borders lie
is the detector's business (`Detector.mark_phases`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from harness.errors import TrialError
from harness.trial.measure.timing import Run, Sample, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harness.trial.models.base import Detector

NAMES = ("transform", "forward", "postprocess")


def time_phases(
    run: Run,
    images: Sequence[Tensor],
    indices: Sequence[int],
    *,
    round_: int,
    detector: Detector,
    stopwatch: Stopwatch,
) -> tuple[Sample, ...]:
    """Time some of the images once each, phase by phase, on a detector that is warm.

    Args:
        run: runs `detector` on a batch of images.
        indices: which of the images.
        round_: the number of the round, for the samples.

    Raises:
        TrialError: the detector does not mark two borders an image.
    """
    marks: list[int] = []

    def mark() -> None:
        stopwatch.synchronize()
        marks.append(stopwatch.clock())

    samples: list[Sample] = []
    with detector.mark_phases(mark):
        for index in indices:
            marks.clear()
            mark()
            run([images[index]])
            mark()
            if len(marks) != len(NAMES) + 1:
                raise TrialError(
                    f"{type(detector).__name__}.mark_phases: expected 2 marks in each detect, got {len(marks) - 2}"
                )
            for name, (begin, end) in zip(NAMES, itertools.pairwise(marks), strict=True):
                seconds = (end - begin) * 1e-9
                samples.append(Sample(name=f"phase {name}", round=round_, index=index, images=1, seconds=seconds))
            stopwatch.beat()
    return tuple(samples)
