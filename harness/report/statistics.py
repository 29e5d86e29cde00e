"""Statistics over raw samples: how sure a median latency is, and whether two of them differ.

The images are the unit of chance: timings of one image are averaged (by their median) before anything is resampled, and
two models timed on the same images are compared image by image. What drifts between the rounds of a measurement is no
chance of this kind; a difference smaller than that drift is never called one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_REPLICATES = 1000
_LEVEL = 0.99  # so that of pairs without a difference at most one in a hundred is called one by chance
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with the limits that a bootstrap over images gives it."""

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
        """Whether it is called a difference."""
        outside = self.ratio.low > 1 or self.ratio.high < 1
        return outside and abs(np.log(self.ratio.value)) > np.log1p(self.drift)


def read_latency(samples: Path, variant: str = "as trained") -> pd.DataFrame | None:
    """The latency pass that stands, from samples.parquet: its rows of the last repetition; None where there is none."""
    if not samples.is_file():
        return None
    frame = pd.read_parquet(samples)
    if "variant" in frame:  # not in the first schema
        frame = frame[frame["variant"] == variant]
    frame = frame[frame["pass"].eq("latency")]
    if "repeat" in frame and not frame.empty:
        frame = frame[frame["repeat"] == frame["repeat"].max()]
    return None if frame.empty else frame[["round", "image", "seconds"]].reset_index(drop=True)


def median_latency(samples: pd.DataFrame) -> Interval:
    """Of all timings, with the 95 % interval that a bootstrap over images gives (percentile method)."""
    groups = [group.to_numpy() for _, group in samples.groupby("image")["seconds"]]
    centres = np.array([np.median(group) for group in groups])
    low, high = np.percentile(_resampled_medians(centres), (2.5, 97.5))
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
