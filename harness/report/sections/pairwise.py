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
    """Return a table of compared pairs and its explanation; empty if no two rows can be compared."""
    rows, significance = dataset.rows, dataset.significance
    if not significance.pairs:
        return []
    cells = []
    for first, second in _pairs(dataset):
        pair = significance.pair(first, second)
        if pair is None:
            continue
        a, b = rows.loc[first], rows.loc[second]
        cells.append(
            (
                escape(a["label"]),
                escape(b["label"]),
                change(pair.difference),
                "< 0.001" if pair.adjusted_p < 0.001 else number(pair.adjusted_p, 3),  # noqa: PLR2004 - three digits are shown
                "tie" if pair.tie else "more accurate" if pair.difference.value > 0 else "less accurate",
                f"± {number(seeds_error(a, b), 3)}".replace("± –", "–"),
                "–" if dataset.mixed else f"{number(a['latency_median_s'] / b['latency_median_s'], 2)}×",
            )
        )
    if not cells:
        return []
    header = (
        "architecture", "against", "difference of mAP (95 % interval)", "p", "verdict", "seeds' standard error",
        "latency ratio",
    )  # fmt: skip
    return ["### Which differences are real", table(header, cells, left=2), _meaning(dataset)]


def _pairs(dataset: DatasetAnalysis) -> Iterator[tuple[Hashable, Hashable]]:
    """Yield each pair once: every row with the baseline, then the other pairs on the front, the better one first."""
    rows = dataset.rows
    on_front = set(pareto_front(rows[~rows["subset"]]).index)
    front = [index for index in rows.index if index in on_front]
    pairs = [
        (index, dataset.baseline) for index in rows.index if dataset.baseline is not None and index != dataset.baseline
    ]
    with_baseline = {frozenset(pair) for pair in pairs}
    yield from pairs
    yield from (pair for pair in itertools.combinations(front, 2) if frozenset(pair) not in with_baseline)


def _meaning(dataset: DatasetAnalysis) -> str:
    baseline = escape(dataset.rows.loc[dataset.baseline, "label"]) if dataset.baseline is not None else "none"
    return (
        f"Baseline: {baseline}. Both detectors are evaluated on the same images, drawn with replacement 1,000 times "
        "from the evaluated split (a paired bootstrap, bias-corrected intervals). A verdict other than *tie* has p "
        f"below {1 - LEVEL:.2f} after Holm's correction for all {len(dataset.significance.pairs)} pairs of this "
        "dataset; an interval is that of its pair alone. In the table above, the rows of a group tie with its first "
        "row. Intervals and verdicts take chance over images into account, with the weights as they were trained. What "
        "other seeds would change is in neither: see the column beside them. A difference within twice that error may "
        "well change its sign when the models are trained again."
    )
