"""Which rows of one table are separated in accuracy: intervals, verdicts, ranks and letters for rows of the frame.

The errors come from `harness.analysis.accuracy`, the correction for many pairs from `harness.analysis.ranking`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import ranking
from harness.analysis.accuracy import Accuracies, SeedAnalyses, analysable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from harness.analysis.accuracy import Difference, Estimate, Word
    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.statistics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """How the accuracies of two rows differ, the first minus the second.

    Attributes:
        difference: the difference with its error, for this pair alone.
        adjusted_p: its p-value, adjusted for the pairs of the table.
    """

    difference: Difference
    adjusted_p: float

    @property
    def word(self) -> Word:
        """The verdict on the first row."""
        return self.difference.word(self.adjusted_p)

    @property
    def interval(self) -> Interval:
        """The difference with its 95 % interval, corrected as the verdict is."""
        return self.difference.corrected(self.adjusted_p)

    @property
    def separated(self) -> bool:
        """Whether the difference is beyond chance over images and seeds."""
        return self.word != "not separated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """Which rows of one table differ in accuracy; rows are named by their index in the frame.

    Attributes:
        estimates: the accuracy of each row that has an error, best first, with its 95 % interval.
        ranks: the best and the worst rank that each of them can have among them.
        letters: two rows share a letter exactly where they are not separated.
        pairs: each two of them, the more accurate one first.
    """

    estimates: Mapping[Hashable, Estimate]
    ranks: Mapping[Hashable, tuple[int, int]]
    letters: Mapping[Hashable, str]
    pairs: Mapping[tuple[Hashable, Hashable], Pair]

    def pair(self, first: Hashable, second: Hashable) -> Pair | None:
        """Return the comparison of two rows, as `first` minus `second`; None if an error is not known."""
        if (first, second) in self.pairs:
            return self.pairs[first, second]
        turned = self.pairs.get((second, first))
        return turned and Pair(difference=turned.difference.swapped, adjusted_p=turned.adjusted_p)


def compare_all(
    rows: pd.DataFrame, analyses: Mapping[tuple[str, str], DetectionAnalysis], metric: str = "map"
) -> Significance:
    """Compare the rows of one table in a metric; rows that lack the analysis of a seed are left out.

    Args:
        rows: rows of `frame.configuration_frame` that were evaluated on the same images.
        analyses: the analysis of each trial's detections, by trial id and variant.
        metric: map, map_50 or map_75.
    """
    seeds = {index: found for index, row in rows.iterrows() if (found := _seeds(row, analyses)) is not None}
    # Labels that were edited since are no longer the same images.
    fingerprints = {index: found.analyses[0].ground_truth_fingerprint for index, found in seeds.items()}
    most = max(fingerprints.values(), key=list(fingerprints.values()).count, default="")
    indices = [index for index, fingerprint in fingerprints.items() if fingerprint == most]
    unordered = Accuracies([seeds[index] for index in indices], metric)
    order = sorted(range(len(indices)), key=lambda number: -unordered.value(number))
    indices = [indices[number] for number in order]
    accuracies = Accuracies([seeds[index] for index in indices], metric)
    count = len(indices)
    differences = {(i, j): accuracies.difference(i, j) for i in range(count) for j in range(i + 1, count)}
    p = np.ones((count, count))
    for (i, j), difference in differences.items():
        p[i, j] = p[j, i] = difference.p
    adjusted = ranking.adjust(p, [accuracies.value(number) for number in range(count)])
    return Significance(
        estimates={index: accuracies.estimate(number) for number, index in enumerate(indices)},
        ranks=dict(zip(indices, ranking.ranks(adjusted), strict=True)),
        letters=dict(zip(indices, ranking.letters(adjusted), strict=True)),
        pairs={
            (indices[i], indices[j]): Pair(difference=difference, adjusted_p=float(adjusted[i, j]))
            for (i, j), difference in differences.items()
        },
    )


def _seeds(row: pd.Series, analyses: Mapping[tuple[str, str], DetectionAnalysis]) -> SeedAnalyses | None:
    """Return the analysis of each measured seed of a row; None if one is missing or tells nothing about chance."""
    found = [analyses.get((trial_id, row["variant"])) for trial_id in row["trial_ids"]]
    known = tuple(analysis for analysis in found if analysis is not None)
    if len(known) < len(found) or not analysable(known):
        return None
    return SeedAnalyses(trial_ids=row["trial_ids"], analyses=known)
