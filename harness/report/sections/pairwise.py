"""The page's section on which accuracies differ: pairs on the Pareto front, and everything against the baseline."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from harness.analysis.frame import pareto_front
from harness.analysis.statistics import LEVEL
from harness.formatting import number
from harness.report.markup import escape, table
from harness.report.sections.summary import change, seeds_error

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from harness.analysis.dataset import DatasetAnalysis


def section(dataset: DatasetAnalysis) -> list[str]:
    """A table of pairs, and what it means; nothing where nothing can be paired."""
    rows, significance = dataset.rows, dataset.significance
    if not significance.pairs:
        return []
    cells = []
    for first, second in _wanted(dataset):
        pair = significance.pair(first, second)
        if pair is None:
            continue
        ours, theirs = rows.loc[first], rows.loc[second]
        cells.append(
            (
                escape(ours["label"]),
                escape(theirs["label"]),
                change(pair.difference),
                "< 0.001" if pair.adjusted_p < 0.001 else number(pair.adjusted_p, 3),  # noqa: PLR2004 - digits shown
                "tie" if pair.tie else "more accurate" if pair.difference.value > 0 else "less accurate",
                f"± {number(seeds_error(ours, theirs), 3)}".replace("± –", "–"),
                "–" if dataset.mixed else f"{number(ours['latency_median_s'] / theirs['latency_median_s'], 2)}×",
            )
        )
    if not cells:
        return []
    header = (
        "architecture", "against", "difference of mAP (95 % interval)", "p", "verdict", "seeds' standard error",
        "latency ratio",
    )  # fmt: skip
    return ["### Which differences are real", table(header, cells, left=2), _meaning(dataset)]


def _wanted(dataset: DatasetAnalysis) -> Iterator[tuple[Hashable, Hashable]]:
    """Each pair once: every row against the baseline, then the others on the front, the better one first."""
    rows = dataset.rows
    leading = set(pareto_front(rows[~rows["subset"]]).index)
    front = [index for index in rows.index if index in leading]
    pairs = [
        (index, dataset.baseline) for index in rows.index if dataset.baseline is not None and index != dataset.baseline
    ]
    seen = {frozenset(pair) for pair in pairs}
    yield from pairs
    yield from (pair for pair in itertools.combinations(front, 2) if frozenset(pair) not in seen)


def _meaning(dataset: DatasetAnalysis) -> str:
    named = escape(dataset.rows.loc[dataset.baseline, "label"]) if dataset.baseline is not None else "none"
    return (
        f"Baseline: {named}. Both detectors see the same images, drawn with replacement 1,000 times from the evaluated "
        "split (a paired bootstrap, bias-corrected intervals). A verdict other than *tie* has p below "
        f"{1 - LEVEL:.2f} after Holm's correction for all {len(dataset.significance.pairs)} pairs of this dataset; the "
        "intervals are of each pair alone. Rows of one group in the table above tie with the first of it. All this is "
        "chance over images, with the weights as they were trained: what other seeds would change stands beside it and "
        "is part of neither interval nor verdict; a difference within twice that error may well turn round when "
        "trained again."
    )
