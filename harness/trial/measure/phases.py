"""Where the time of one image goes: transform, forward, post-processing.

Timings of their own, because the synchronisation at the inner borders perturbs the total; in rounds that take turns
with those of the latency pass, so that both see the same machine. The borders are the end of the detector's transform
and the beginning of its `postprocess_detections`, which every torchvision detector has.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, cast

from harness.trial.measure.timing import Run, Sample, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

NAMES = ("transform", "forward", "postprocess")


def time_phases(
    run: Run,
    images: Sequence[Tensor],
    indices: Sequence[int],
    *,
    round_: int,
    model: nn.Module,
    postprocessor: nn.Module,
    stopwatch: Stopwatch,
) -> tuple[Sample, ...]:
    """Time these of the images once each, phase by phase, on a model that is warm.

    Args:
        model: the detector that `run` runs; its `transform` is the first phase.
        postprocessor: the module whose `postprocess_detections` begins the last phase.
    """
    marks: list[int] = []

    def mark() -> None:
        stopwatch.synchronize()
        marks.append(stopwatch.clock())

    samples: list[Sample] = []
    with _marked(model, postprocessor, mark):
        for index in indices:
            marks.clear()
            mark()
            run([images[index]])
            mark()
            for name, (begin, end) in zip(NAMES, itertools.pairwise(marks), strict=True):
                seconds = (end - begin) * 1e-9
                samples.append(Sample(name=f"phase {name}", round=round_, index=index, images=1, seconds=seconds))
            stopwatch.beat()
    return tuple(samples)


@contextlib.contextmanager
def _marked(model: nn.Module, postprocessor: nn.Module, mark: Callable[[], None]) -> Iterator[None]:
    """Call `mark` at the two inner borders."""
    original = cast("Callable[..., object]", postprocessor.postprocess_detections)

    def postprocess(*arguments: object, **named: object) -> object:
        mark()
        return original(*arguments, **named)

    hook = model.get_submodule("transform").register_forward_hook(lambda *_: mark())
    postprocessor.postprocess_detections = postprocess  # type: ignore[assignment]
    try:
        yield
    finally:
        hook.remove()
        del postprocessor.postprocess_detections
