"""Statistics over raw samples: how sure a median latency is, and whether two of them differ.

The images are the unit of chance: timings of one image are averaged (by their median) before anything is resampled, and
two models timed on the same images are compared image by image. What drifts between the rounds of a measurement, or
from one process to the next, is no chance of this kind; a difference smaller than that is never called one.
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

    from harness.store.tables import StoredTimings

log = logging.getLogger(__name__)

LEVEL = 0.95  # of intervals of accuracy
_NORMAL = NormalDist()
_REPLICATES = 1000
_LEVEL = 0.99  # so that of pairs without a difference at most one in a hundred is called one by chance
_SEED = 0
_BETWEEN_RUNS = 0.05  # what a machine that `harness doctor` calls fit may differ by from one measurement to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its limits, of chance over images."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRatio:
    """How many times slower the first is than the second.

    Attributes:
        ratio: of per-image medians, with its 99 % interval.
        drift: how far the rounds of one measurement lie apart, as a share: the larger one of the two.
    """

    ratio: Interval
    drift: float

    @property
    def differs(self) -> bool:
        """Whether it is called a difference: beyond chance, the drift, and what two processes differ by."""
        outside = self.ratio.low > 1 or self.ratio.high < 1
        return outside and abs(np.log(self.ratio.value)) > np.log1p(max(self.drift, _BETWEEN_RUNS))


def bias_corrected(replicates: NDArray[np.float64], value: float) -> tuple[float, float]:
    """The bias-corrected percentile interval (Efron, Canadian Journal of Statistics 9, 1981).

    mAP of a drawn set lies a little too high, as interpolation takes the best precision that chance offers; plain
    percentiles would carry that into the interval. A replicate that drew no box has no mAP and does not count.

    Args:
        replicates: float64 [R], some may be NaN, not all.
        value: of the set that they were drawn from.
    """
    known = replicates[~np.isnan(replicates)]
    below = float(np.mean(known < value) + np.mean(known == value) / 2)
    shift = 2 * _NORMAL.inv_cdf(min(max(below, 1 / (len(known) + 1)), 1 - 1 / (len(known) + 1)))
    low, high = np.quantile(known, [_NORMAL.cdf(shift + _NORMAL.inv_cdf((1 + sign * LEVEL) / 2)) for sign in (-1, 1)])
    return float(low), float(high)


def read_latencies(samples: Path) -> dict[str, pd.DataFrame]:
    """By variant the latency pass that stands, from samples.parquet; nothing where that is missing or unreadable."""
    if not samples.is_file():
        return {}
    try:
        timings = read_timings(samples.read_bytes())
    except (OSError, UnreadableError) as error:
        log.warning("%s: cannot be read (%s): intervals of latencies are left out", samples, error)
        return {}
    return {variant: _standing_latencies(group) for variant, group in timings.items() if "latency" in group.passes}


def _standing_latencies(timings: StoredTimings) -> pd.DataFrame:
    """Round, image and seconds of the last repetition of the latency pass."""
    latency = timings.passes == "latency"
    rows = latency & (timings.repeats == timings.repeats[latency].max())
    return pd.DataFrame(
        {"round": timings.rounds[rows], "image": timings.images[rows], "seconds": timings.seconds[rows]}
    )


def median_latency(samples: pd.DataFrame) -> Interval:
    """Of all timings, with the 95 % interval of a median over images: order statistics, by the normal approximation.

    The interval between the ranks n/2 ± 1.96 √n / 2 holds the median whatever the distribution (Conover, Practical
    Nonparametric Statistics, 1999, section 3.2).
    """
    centres = np.sort(samples.groupby("image")["seconds"].median().to_numpy())
    count = len(centres)
    reach = 1.96 * np.sqrt(count) / 2
    low = centres[max(0, int(np.floor(count / 2 - reach)))]
    high = centres[min(count - 1, int(np.ceil(count / 2 + reach)) - 1)]
    return Interval(value=float(samples["seconds"].median()), low=float(low), high=float(high))


def compare_latency(first: pd.DataFrame, second: pd.DataFrame) -> LatencyRatio:
    """Paired by image where both timed the same images, else by their medians alone."""
    ours = first.groupby("image")["seconds"].median()
    theirs = second.groupby("image")["seconds"].median()
    if set(ours.index) == set(theirs.index):
        logs = np.log(ours.to_numpy() / theirs.reindex(ours.index).to_numpy())
        value, replicates = float(np.median(logs)), _resampled_medians(logs)
    else:
        value = float(np.log(ours.median() / theirs.median()))
        replicates = np.log(_resampled_medians(ours.to_numpy())) - np.log(_resampled_medians(theirs.to_numpy(), 1))
    low, high = np.percentile(replicates, (50 * (1 - _LEVEL), 50 * (1 + _LEVEL)))
    return LatencyRatio(
        ratio=Interval(value=float(np.exp(value)), low=float(np.exp(low)), high=float(np.exp(high))),
        drift=max(_drift(first), _drift(second)),
    )


def _drift(samples: pd.DataFrame) -> float:
    medians = samples.groupby("round")["seconds"].median()
    return float(medians.max() / medians.min() - 1)


def _resampled_medians(values: NDArray[np.float64], stream: int = 0) -> NDArray[np.float64]:
    chosen = np.random.default_rng((_SEED, stream)).integers(0, len(values), (_REPLICATES, len(values)))
    medians: NDArray[np.float64] = np.median(values[chosen], axis=1)
    return medians


# Student's t at 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2);
# beyond, the last one stays, which errs to the safe side by at most 4 %.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


def welch(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The difference of two means, ours less theirs, with its 95 % interval over two seeds or more on either side.

    Welch's interval (Biometrika 34, 1947), with his degrees of freedom rounded down.
    """
    value = fmean(ours) - fmean(theirs)
    shares = [variance(side) / len(side) for side in (ours, theirs)]
    spread = sum(shares)
    if spread == 0:
        return Interval(value=value, low=value, high=value)
    parts = zip(shares, (ours, theirs), strict=True)
    degrees = spread**2 / sum(share**2 / (len(side) - 1) for share, side in parts)
    reach = _T[min(max(1, int(degrees)), len(_T)) - 1] * math.sqrt(spread)
    return Interval(value=value, low=value - reach, high=value + reach)
