"""Whether timings agree with each other: the doubt `unstable`, with the reason.

Spread between images is no doubt: a crowded image takes longer every time. What counts is how far timings of the same
image lie apart, and how far whole rounds over the same images do.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from harness.store.record import MeasurementWarning
from harness.trial.measure.timing import images_per_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.trial.measure.timing import Sample

_STD = 0.10  # of the mean
_ROUNDS = 0.07  # of the smallest round
_PHASES = 0.10  # of the median latency


def rounds(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Round by round, in order."""
    found: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.round].append(sample)
    return [found[number] for number in sorted(found)]


def unstable_latency(samples: Sequence[Sample]) -> tuple[MeasurementWarning, ...]:
    """From a std of 10 % of the mean among timings of the same image, or round medians more than 7 % apart."""
    reasons = []
    share = spread(samples)
    if share is not None and share >= _STD:
        reasons.append(f"timings of the same image have a std of {share:.0%} of the mean")
    medians = [float(np.median([sample.seconds for sample in round_])) for round_ in rounds(samples)]
    apart = max(medians) / min(medians) - 1
    if apart > _ROUNDS:
        reasons.append(f"the medians of the rounds lie {apart:.0%} apart")
    return _warnings(reasons)


def unstable_throughput(samples: Sequence[Sample]) -> tuple[MeasurementWarning, ...]:
    """Rounds more than 7 % apart."""
    speeds = [images_per_s(round_) for round_ in rounds(samples)]
    apart = max(speeds) / min(speeds) - 1
    return _warnings([f"the rounds lie {apart:.0%} apart"] if apart > _ROUNDS else [])


def unsound_phases(medians: Sequence[float], latency: float) -> tuple[MeasurementWarning, ...]:
    """Phases whose medians do not sum to the median latency within 10 %."""
    share = sum(medians) / latency
    if abs(share - 1) <= _PHASES:
        return ()
    return _warnings([f"its phases sum to {share:.0%} of the median latency"])


def spread(samples: Sequence[Sample]) -> float | None:
    """Standard deviation of repeated timings of an image, pooled over all images, as a share of the mean of all.

    None where no image was timed twice.
    """
    by_image: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        by_image[sample.index].append(sample.seconds)
    repeated = [np.asarray(seconds) for seconds in by_image.values() if len(seconds) > 1]
    freedom = sum(len(seconds) - 1 for seconds in repeated)
    if not freedom:
        return None
    variance = sum(float(((seconds - seconds.mean()) ** 2).sum()) for seconds in repeated) / freedom
    return float(np.sqrt(variance) / np.mean([sample.seconds for sample in samples]))


def _warnings(reasons: Sequence[str]) -> tuple[MeasurementWarning, ...]:
    return (MeasurementWarning(name="unstable", reason=", ".join(reasons)),) if reasons else ()
