"""Which detector to ship within limits, and why each other one lost: `harness.analysis.choice` for every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.choice import Bounds, choose
from harness.formatting import memory, metric_value, milliseconds, points

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

    from harness.analysis.choice import Choice
    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.suite import SuiteAnalysis

_BY_MEDIANS = "by medians of one process each"
METRICS = ("map", "map_50", "map_75")

__all__ = ["METRICS", "Advice", "Bounds", "advise", "sentence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to ship for one dataset, or for one table of its rows if not all of them compare.

    Attributes:
        dataset: the name of the dataset, with what distinguishes the table if it has several.
        metric: the metric that the detectors were compared in.
        chosen: the row of `Results.rows` to ship; None if no row is within the limits.
        ships: whether it can be called the one to ship; if not, `remarks` say why it is only the best known here.
        lost: (label, reason) of every other row, the best one first.
        remarks: what it was chosen from, what it was measured by, and what weakens the advice.
    """

    dataset: str
    metric: str
    chosen: pd.Series | None
    ships: bool
    lost: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()

    @property
    def label(self) -> str | None:
        """The name of the chosen row in the report; None if there is none."""
        return None if self.chosen is None else str(self.chosen["label"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """The names of the chosen row's measurement warnings."""
        return () if self.chosen is None else tuple(dict.fromkeys(name for name, _ in self.chosen["warnings"]))

    def __str__(self) -> str:
        """One line: the chosen detector with its accuracy, latency and memory."""
        if self.chosen is None:
            return f"{self.dataset}: nothing to ship: no row is measured on all images and keeps to the limits"
        word = "ship" if self.ships else "no advice to ship; best here:"
        return f"{self.dataset}: {word} {self.label}: {sentence(self.chosen, self.metric)}"


def advise(suite: SuiteAnalysis, bounds: Bounds, metric: str) -> tuple[Advice, ...]:
    """Say for each table of rows that compare which one to ship within the limits.

    Args:
        suite: the analysis that the page is written from.
        bounds: the limits.
        metric: map, map_50 or map_75.
    """
    return tuple(_advise(dataset, choose(dataset, bounds, metric)) for dataset in suite.datasets)


def sentence(row: pd.Series, metric: str) -> str:
    """Describe a row by its accuracy, latency and memory."""
    used = memory(row["inference_memory_bytes"])
    return (
        f"{metric} {metric_value(row[metric])} at {milliseconds(row['latency_median_s'])} ms "
        f"(p95 {milliseconds(row['latency_p95_s'])})" + ("" if used == "–" else f" in {used}")
    )


def _advise(dataset: DatasetAnalysis, choice: Choice) -> Advice:
    rows = dataset.rows
    ordered = rows.sort_values([choice.metric, "latency_median_s"], ascending=[False, True], kind="stable")
    lost = [
        (row["label"], choice.objections.get(index) or _behind(dataset, choice, index))
        for index, row in ordered.iterrows()
        if index != choice.chosen
    ]
    return Advice(
        dataset=dataset.title,
        metric=choice.metric,
        chosen=None if choice.chosen is None else rows.loc[choice.chosen],
        ships=choice.ships,
        lost=tuple(lost),
        remarks=(*_remarks(dataset, choice), *choice.doubts, *dataset.apart, *dataset.speeds.reasons),
    )


def _remarks(dataset: DatasetAnalysis, choice: Choice) -> Sequence[str]:
    """Say what the choice was made from."""
    if choice.chosen is None:
        return ()
    remarks = []
    together = len(choice.tied) + 1
    if choice.tied and choice.fastest_by:
        by = {"race": "in their race", "chance": "in their race but within chance", "medians": _BY_MEDIANS}
        remarks.append(
            f"the fastest, {by[choice.fastest_by]}, of {together} whose {choice.metric} is not separated from the best"
        )
    elif choice.tied:
        remarks.append(f"the best of {together} whose {choice.metric} is not separated from it")
    if dataset.rows.loc[choice.chosen, "n"] == 1:
        remarks.append("one seed: this holds for these weights")
    return remarks


def _behind(dataset: DatasetAnalysis, choice: Choice, index: Hashable) -> str:
    """Say how far a row that keeps to the limits is behind the chosen one, and in what."""
    metric, row, chosen = choice.metric, dataset.rows.loc[index], dataset.rows.loc[choice.chosen]
    text = f"{metric} {metric_value(row[metric])}, {points(row[metric] - chosen[metric])}"
    claim = dataset.speeds.claim(index, choice.chosen)
    if claim.word == "not comparable":
        return f"{text}, its speed does not compare"
    if claim.separated:
        return f"{text}, {max(claim.times, 1 / claim.times):.2f}× {claim.word}"
    by = _BY_MEDIANS if claim.word == "not raced" else "not separated in their race"
    return f"{text}, {claim.times:.2f}× as fast ({by})"
