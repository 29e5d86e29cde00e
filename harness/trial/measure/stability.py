"""Decide whether timings agree with each other; if not, return the warning `unstable` with the reason.

Differences between images are no instability, as a crowded image always takes longer. What counts is how much the
timings of the same image differ, and how much whole rounds over the same images do.
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

_MAX_STD = 0.10  # fraction of the mean
_MAX_ROUND_DIFFERENCE = 0.07  # fraction of the smallest round
_MAX_PHASE_ERROR = 0.10  # fraction of the median latency


def by_round(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Group the samples by round, in order."""
    by_number: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_number[sample.round].append(sample)
    return [by_number[number] for number in sorted(by_number)]


def unstable_latency(samples: Sequence[Sample]) -> tuple[MeasurementWarning, ...]:
    """Warn if timings of the same image have a std of 10 % of the mean or more, or round medians differ by over 7 %."""
    reasons = []
    fraction = spread(samples)
    if fraction is not None and fraction >= _MAX_STD:
        reasons.append(f"timings of the same image have a std of {fraction:.0%} of the mean")
    medians = [float(np.median([sample.seconds for sample in round_])) for round_ in by_round(samples)]
    difference = max(medians) / min(medians) - 1
    if difference > _MAX_ROUND_DIFFERENCE:
        reasons.append(f"the medians of the rounds lie {difference:.0%} apart")
    return _warnings(reasons)


def unstable_throughput(samples: Sequence[Sample]) -> tuple[MeasurementWarning, ...]:
    """Warn if the throughput of two rounds differs by more than 7 %."""
    speeds = [images_per_s(round_) for round_ in by_round(samples)]
    difference = max(speeds) / min(speeds) - 1
    return _warnings([f"the rounds lie {difference:.0%} apart"] if difference > _MAX_ROUND_DIFFERENCE else [])


def inconsistent_phases(medians: Sequence[float], latency: float) -> tuple[MeasurementWarning, ...]:
    """Warn if the medians of the phases do not add up to the median latency within 10 %."""
    fraction = sum(medians) / latency
    if abs(fraction - 1) <= _MAX_PHASE_ERROR:
        return ()
    return _warnings([f"its phases sum to {fraction:.0%} of the median latency"])


def spread(samples: Sequence[Sample]) -> float | None:
    """Return the std of repeated timings of an image, pooled over all images, as a fraction of the mean of all timings.

    None if no image was timed twice.
    """
    by_image: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        by_image[sample.index].append(sample.seconds)
    repeated = [np.asarray(seconds) for seconds in by_image.values() if len(seconds) > 1]
    degrees_of_freedom = sum(len(seconds) - 1 for seconds in repeated)
    if not degrees_of_freedom:
        return None
    variance = sum(float(((seconds - seconds.mean()) ** 2).sum()) for seconds in repeated) / degrees_of_freedom
    return float(np.sqrt(variance) / np.mean([sample.seconds for sample in samples]))


def _warnings(reasons: Sequence[str]) -> tuple[MeasurementWarning, ...]:
    return (MeasurementWarning(name="unstable", reason=", ".join(reasons)),) if reasons else ()
