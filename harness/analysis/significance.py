"""How sure an accuracy is, and whether two of them differ: chance over images, from stored detections.

Images are drawn with replacement, the same draws for every detector, so that two of them are compared image by image:
what is hard for both cancels. This takes the trained weights as given. What another seed would have brought is another
matter, told apart everywhere: the standard deviation over seeds is never mixed into these intervals.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.statistics import LEVEL, Interval, bias_corrected

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.analysis.detections.analyse import DetectionAnalysis

_DUST = 1e-9  # of mAP: means over the same seeds in another order


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Interval):
    """Of mAP, the first less the second, with its 95 % interval; `p` is two-sided."""

    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows of the frame, by their index, and whether they differ once all pairs are allowed for."""

    first: Hashable
    second: Hashable
    difference: Difference
    adjusted_p: float

    @property
    def tie(self) -> bool:
        """Whether the difference may be chance."""
        return self.adjusted_p > 1 - LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """Of the rows of one dataset, by their index.

    Attributes:
        intervals: of mAP, over images.
        pairs: every two rows that were evaluated on the same images.
        groups: 1 for the best row and those that tie with it, 2 for the best of the rest, and so on; of rows that were
            evaluated on the same images as the best.
    """

    intervals: Mapping[Hashable, Interval]
    pairs: tuple[Pair, ...]
    groups: Mapping[Hashable, int]

    def pair(self, first: Hashable, second: Hashable) -> Pair | None:
        """The two rows compared, the difference as first less second."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.second, pair.first) == (first, second):
                return _turned(pair)
        return None


def interval(seeds: Sequence[DetectionAnalysis]) -> Interval:
    """Of the mean mAP over seeds."""
    value, replicates = _mean(seeds)
    low, high = bias_corrected(replicates, value)
    return Interval(value=value, low=low, high=high)


def difference(ours: Sequence[DetectionAnalysis], theirs: Sequence[DetectionAnalysis]) -> Difference:
    """Of the mean mAP over the seeds of two configurations, ours less theirs, on the same drawn images.

    The p-value takes the difference as normally distributed with the replicates' standard deviation: counting
    replicates could not go below 1 in 1,000, which many pairs ask for.

    Args:
        ours: of one configuration, all on the same labels.
        theirs: of another, on the same labels as ours.
    """
    first, again = _mean(ours)
    second, other = _mean(theirs)
    value, apart = first - second, again - other
    low, high = bias_corrected(apart, value)
    spread = float(np.nanstd(apart, ddof=1))
    p = math.erfc(abs(value) / spread / math.sqrt(2)) if spread > _DUST else float(abs(value) < _DUST)
    return Difference(value=value, low=low, high=high, p=p)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted for there being many (Holm, Scandinavian Journal of Statistics 6, 1979), in the given order."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return tuple(adjusted)


def compare_all(rows: pd.DataFrame, analyses: Mapping[tuple[str, str], DetectionAnalysis]) -> Significance:
    """Intervals, all pairs and ties of one dataset's rows; rows without evidence of every seed are left out.

    Args:
        rows: of `frames.configuration_frame`, best first.
        evidence: by trial id and variant.
    """
    known = {index: seeds for index, row in rows.iterrows() if (seeds := _seeds(row, analyses)) is not None}
    compared = [
        (first, second, difference(known[first], known[second]))
        for first, second in itertools.combinations(known, 2)
        if known[first][0].labels == known[second][0].labels
    ]
    alike = [index for index, seeds in known.items() if seeds[0].labels == next(iter(known.values()))[0].labels]
    adjusted = holm([found.p for _, _, found in compared])
    pairs = tuple(
        Pair(first=first, second=second, difference=found, adjusted_p=p)
        for (first, second, found), p in zip(compared, adjusted, strict=True)
    )
    return Significance(
        intervals={index: interval(seeds) for index, seeds in known.items()},
        pairs=pairs,
        groups=_groups(alike, pairs),
    )


def _seeds(
    row: pd.Series, analyses: Mapping[tuple[str, str], DetectionAnalysis]
) -> tuple[DetectionAnalysis, ...] | None:
    """The evidence of each of a row's measured seeds; None where one has none, or there is nothing to draw from."""
    found = [analyses.get((trial_id, row["variant"])) for trial_id in row["trial_ids"]]
    seeds = tuple(seed for seed in found if seed is not None)
    if not seeds or len(seeds) < len(found) or len({seed.labels for seed in seeds}) > 1:
        return None
    return seeds if np.count_nonzero(seeds[0].n_ground_truth) > 1 else None


def _groups(rows: Sequence[Hashable], pairs: Sequence[Pair]) -> dict[Hashable, int]:
    """Each row's group: the first row without one heads the next, and takes those that tie with it."""
    ties = {frozenset((pair.first, pair.second)) for pair in pairs if pair.tie}
    groups: dict[Hashable, int] = {}
    for head in rows:
        if head not in groups:
            number = max(groups.values(), default=0) + 1
            groups |= {row: number for row in rows if row not in groups and (row == head or {head, row} in ties)}
    return groups


def _mean(seeds: Sequence[DetectionAnalysis]) -> tuple[float, NDArray[np.float64]]:
    replicates: NDArray[np.float64] = np.mean([seed.replicates for seed in seeds], axis=0)
    return float(np.mean([seed.map for seed in seeds])), replicates


def _turned(pair: Pair) -> Pair:
    d = pair.difference
    turned = Difference(value=-d.value, low=-d.high, high=-d.low, p=d.p)
    return Pair(first=pair.second, second=pair.first, difference=turned, adjusted_p=pair.adjusted_p)
