"""How certain an accuracy is, and whether two accuracies differ: chance over images, from stored detections.

Images are drawn with replacement, with the same draws for every detector, so that two detectors are compared image by
image and what is hard for both cancels. The trained weights are taken as given: the standard deviation over seeds is
reported separately and is never mixed into these intervals.
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

_TOLERANCE = 1e-9  # of mAP: means over the same seeds in another order differ by less


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Interval):
    """The difference of two mAPs, the first minus the second, with its 95 % interval and its two-sided p-value."""

    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows of the frame, by their index, and how their mAPs differ.

    Attributes:
        first: the index of the first row.
        second: the index of the second row.
        difference: the first row's mAP minus the second row's.
        adjusted_p: the p-value of the difference, adjusted for all pairs of the dataset.
    """

    first: Hashable
    second: Hashable
    difference: Difference
    adjusted_p: float

    @property
    def tie(self) -> bool:
        """Whether the difference can be explained by chance."""
        return self.adjusted_p > 1 - LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """Which rows of one dataset differ in accuracy; rows are named by their index in the frame.

    Attributes:
        intervals: the 95 % interval of each row's mAP, over images.
        pairs: every two rows that were evaluated on the same images.
        groups: 1 for the best row and the rows that tie with it, 2 for the best remaining row and the rows that tie
            with that, and so on; only rows that were evaluated on the same images as the best row have a group.
    """

    intervals: Mapping[Hashable, Interval]
    pairs: tuple[Pair, ...]
    groups: Mapping[Hashable, int]

    def pair(self, first: Hashable, second: Hashable) -> Pair | None:
        """Return the comparison of two rows, as `first` minus `second`; None if they were not compared."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.second, pair.first) == (first, second):
                return _swap(pair)
        return None


def map_interval(seeds: Sequence[DetectionAnalysis]) -> Interval:
    """Return the mean mAP over seeds with its 95 % interval over images."""
    value, replicates = _mean_map(seeds)
    low, high = bias_corrected(replicates, value)
    return Interval(value=value, low=low, high=high)


def map_difference(first: Sequence[DetectionAnalysis], second: Sequence[DetectionAnalysis]) -> Difference:
    """Return the difference of two configurations' mean mAP over seeds, first minus second, on the same drawn images.

    The p-value assumes that the difference is normally distributed with the replicates' standard deviation: counting
    replicates could not give less than 1 in 1,000, and many pairs need smaller p-values.

    Args:
        first: the analysis of each seed of one configuration, all on the same ground truth.
        second: the analysis of each seed of the other one, on the same ground truth as `first`.
    """
    first_map, first_replicates = _mean_map(first)
    second_map, second_replicates = _mean_map(second)
    value, replicates = first_map - second_map, first_replicates - second_replicates
    low, high = bias_corrected(replicates, value)
    std = float(np.nanstd(replicates, ddof=1))
    p = math.erfc(abs(value) / std / math.sqrt(2)) if std > _TOLERANCE else float(abs(value) < _TOLERANCE)
    return Difference(value=value, low=low, high=high, p=p)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for their number (Holm, Scandinavian Journal of Statistics 6, 1979); keeps their order."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, position in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[position]))
        adjusted[position] = highest
    return tuple(adjusted)


def compare_all(rows: pd.DataFrame, analyses: Mapping[tuple[str, str], DetectionAnalysis]) -> Significance:
    """Compute intervals, all pairs and ties of one dataset's rows; leave out rows that lack an analysis of any seed.

    Args:
        rows: the dataset's rows of `frame.configuration_frame`, best first.
        analyses: the analysis of each trial's detections, by trial id and variant.
    """
    seeds_of = {index: seeds for index, row in rows.iterrows() if (seeds := _seeds(row, analyses)) is not None}
    evaluated_on = {index: seeds[0].ground_truth_fingerprint for index, seeds in seeds_of.items()}
    indices = [pair for pair in itertools.combinations(seeds_of, 2) if evaluated_on[pair[0]] == evaluated_on[pair[1]]]
    differences = [map_difference(seeds_of[first], seeds_of[second]) for first, second in indices]
    adjusted = holm([difference.p for difference in differences])
    pairs = tuple(
        Pair(first=first, second=second, difference=difference, adjusted_p=p)
        for (first, second), difference, p in zip(indices, differences, adjusted, strict=True)
    )
    best = next(iter(evaluated_on.values()), None)
    return Significance(
        intervals={index: map_interval(seeds) for index, seeds in seeds_of.items()},
        pairs=pairs,
        groups=_groups([index for index in seeds_of if evaluated_on[index] == best], pairs),
    )


def _seeds(
    row: pd.Series, analyses: Mapping[tuple[str, str], DetectionAnalysis]
) -> tuple[DetectionAnalysis, ...] | None:
    """Return the analysis of each measured seed of a row.

    None if a seed has no analysis, if the seeds were evaluated on different ground truth, or if fewer than two images
    have boxes, so that drawing images again would tell nothing.
    """
    candidates = [analyses.get((trial_id, row["variant"])) for trial_id in row["trial_ids"]]
    seeds = tuple(seed for seed in candidates if seed is not None)
    if not seeds or len(seeds) < len(candidates) or len({seed.ground_truth_fingerprint for seed in seeds}) > 1:
        return None
    return seeds if np.count_nonzero(seeds[0].n_ground_truth) > 1 else None


def _groups(rows: Sequence[Hashable], pairs: Sequence[Pair]) -> dict[Hashable, int]:
    """Number the groups: the first row without a group starts the next one, which all rows that tie with it join."""
    ties = {frozenset((pair.first, pair.second)) for pair in pairs if pair.tie}
    groups: dict[Hashable, int] = {}
    for head in rows:
        if head not in groups:
            number = max(groups.values(), default=0) + 1
            groups |= {row: number for row in rows if row not in groups and (row == head or {head, row} in ties)}
    return groups


def _mean_map(seeds: Sequence[DetectionAnalysis]) -> tuple[float, NDArray[np.float64]]:
    replicates: NDArray[np.float64] = np.mean([seed.replicates for seed in seeds], axis=0)
    return float(np.mean([seed.map for seed in seeds])), replicates


def _swap(pair: Pair) -> Pair:
    d = pair.difference
    swapped = Difference(value=-d.value, low=-d.high, high=-d.low, p=d.p)
    return Pair(first=pair.second, second=pair.first, difference=swapped, adjusted_p=pair.adjusted_p)
