"""Statistics over raw samples: how certain a median latency is, and whether two median latencies differ.

Images are the unit that is resampled: the timings of one image are first reduced to their median, and two models that
were timed on the same images are compared image by image. Drift between the rounds of a measurement, or between
processes, is not chance over images; a difference smaller than that drift is never reported as one.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.store.tables import UnreadableError, read_timings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.store.arrays import StoredTimings

log = logging.getLogger(__name__)

LEVEL = 0.95  # confidence level of intervals of accuracy
_NORMAL = NormalDist()
_REPLICATES = 1000
_LATENCY_LEVEL = 0.99  # so that at most one in a hundred equal pairs is called different by chance
_SEED = 0
_BETWEEN_RUNS = 0.05  # two measurements on a machine that `harness doctor` accepts may differ by this fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with the lower and the upper end of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRatio:
    """How many times as long the first model takes as the second.

    Attributes:
        ratio: the ratio of the per-image medians, with its 99 % interval.
        drift: how far the rounds of one measurement lie apart, as a fraction; the larger one of the two measurements.
    """

    ratio: Interval
    drift: float

    @property
    def differs(self) -> bool:
        """Whether the ratio is beyond chance, beyond the drift, and beyond what two processes may differ by."""
        outside = self.ratio.low > 1 or self.ratio.high < 1
        return outside and abs(np.log(self.ratio.value)) > np.log1p(max(self.drift, _BETWEEN_RUNS))


def bias_corrected(replicates: NDArray[np.float64], value: float) -> tuple[float, float]:
    """Return the ends of the bias-corrected 95 % percentile interval (Efron, Canadian Journal of Statistics 9, 1981).

    The mAP of a drawn set is a little too high, because interpolation takes the best precision that chance offers;
    plain percentiles would carry that into the interval. A replicate that drew no box has no mAP and does not count.

    Args:
        replicates: float64 [R]; some may be NaN, but not all.
        value: the value on the set that the replicates were drawn from.
    """
    finite = replicates[~np.isnan(replicates)]
    below = float(np.mean(finite < value) + np.mean(finite == value) / 2)
    shift = 2 * _NORMAL.inv_cdf(min(max(below, 1 / (len(finite) + 1)), 1 - 1 / (len(finite) + 1)))
    low, high = np.quantile(finite, [_NORMAL.cdf(shift + _NORMAL.inv_cdf((1 + sign * LEVEL) / 2)) for sign in (-1, 1)])
    return float(low), float(high)


def read_latencies(samples: Path) -> dict[str, pd.DataFrame]:
    """Return the timings of the latency pass by variant, from samples.parquet; empty if it is missing or unreadable."""
    if not samples.is_file():
        return {}
    try:
        timings = read_timings(samples.read_bytes())
    except (OSError, UnreadableError) as error:
        log.warning("%s: cannot be read (%s): intervals of latencies are left out", samples, error)
        return {}
    return {variant: _standing_latencies(group) for variant, group in timings.items() if "latency" in group.passes}


def _standing_latencies(timings: StoredTimings) -> pd.DataFrame:
    """Return round, image and seconds of the last repetition of the latency pass."""
    latency = timings.passes == "latency"
    rows = latency & (timings.repeats == timings.repeats[latency].max())
    return pd.DataFrame(
        {"round": timings.rounds[rows], "image": timings.images[rows], "seconds": timings.seconds[rows]}
    )


def median_latency(samples: pd.DataFrame) -> Interval:
    """Return the median of all timings, in seconds, with the 95 % interval of the median over images.

    The interval lies between the order statistics of ranks n/2 ± 1.96 √n / 2, which holds for any distribution
    (Conover, Practical Nonparametric Statistics, 1999, section 3.2; normal approximation).
    """
    medians = np.sort(samples.groupby("image")["seconds"].median().to_numpy())
    count = len(medians)
    half_width = 1.96 * np.sqrt(count) / 2
    low = medians[max(0, int(np.floor(count / 2 - half_width)))]
    high = medians[min(count - 1, int(np.ceil(count / 2 + half_width)) - 1)]
    return Interval(value=float(samples["seconds"].median()), low=float(low), high=float(high))


def compare_latency(first: pd.DataFrame, second: pd.DataFrame) -> LatencyRatio:
    """Compare two latency passes image by image if both timed the same images, else by their medians."""
    first_medians = first.groupby("image")["seconds"].median()
    second_medians = second.groupby("image")["seconds"].median()
    if set(first_medians.index) == set(second_medians.index):
        logs = np.log(first_medians.to_numpy() / second_medians.reindex(first_medians.index).to_numpy())
        value, replicates = float(np.median(logs)), _resampled_medians(logs)
    else:
        value = float(np.log(first_medians.median() / second_medians.median()))
        replicates = np.log(_resampled_medians(first_medians.to_numpy()))
        replicates -= np.log(_resampled_medians(second_medians.to_numpy(), 1))
    low, high = np.percentile(replicates, (50 * (1 - _LATENCY_LEVEL), 50 * (1 + _LATENCY_LEVEL)))
    return LatencyRatio(
        ratio=Interval(value=float(np.exp(value)), low=float(np.exp(low)), high=float(np.exp(high))),
        drift=max(_drift(first), _drift(second)),
    )


def _drift(samples: pd.DataFrame) -> float:
    """Return how far the medians of the rounds lie apart, as a fraction."""
    medians = samples.groupby("round")["seconds"].median()
    return float(medians.max() / medians.min() - 1)


def _resampled_medians(values: NDArray[np.float64], stream: int = 0) -> NDArray[np.float64]:
    """Return the medians of 1,000 sets drawn with replacement from the values; each stream has its own draws."""
    drawn = np.random.default_rng((_SEED, stream)).integers(0, len(values), (_REPLICATES, len(values)))
    medians: NDArray[np.float64] = np.median(values[drawn], axis=1)
    return medians


# Student's t at 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2);
# for more degrees of freedom the last value is used, which makes intervals at most 4 % too wide.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


def welch(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Return the difference of two means, first minus second, with its 95 % interval; each side has two seeds or more.

    This is Welch's interval (Biometrika 34, 1947) with its degrees of freedom rounded down.
    """
    value = fmean(first) - fmean(second)
    variances = [variance(side) / len(side) for side in (first, second)]  # of the two means
    total = sum(variances)
    if total == 0:
        return Interval(value=value, low=value, high=value)
    sizes = len(first), len(second)
    degrees = total**2 / sum(part**2 / (size - 1) for part, size in zip(variances, sizes, strict=True))
    half_width = _T[min(max(1, int(degrees)), len(_T)) - 1] * math.sqrt(total)
    return Interval(value=value, low=value - half_width, high=value + half_width)
