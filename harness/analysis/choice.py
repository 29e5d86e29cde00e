"""Which row to ship within limits, what it was chosen from, and what stands against saying so.

The page and `recommend` both speak from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.analysis import significance
from harness.analysis.contradiction import ROUNDING
from harness.analysis.frame import CANNOT
from harness.formatting import counted, number

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.significance import Significance
    from harness.analysis.speed import Speeds

FastestBy = Literal["race", "chance", "medians", ""]
MIN_MAP = 0.01  # a model of lower mAP detects nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits that a detector must keep to; None is no limit."""

    max_latency_s: float | None = None
    max_memory_bytes: int | None = None
    min_metric: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which row of a table to ship; rows are named by their index.

    Attributes:
        metric: what the rows were compared in.
        best: the most accurate row within the limits; None if there is none.
        tied: the other rows within the limits whose accuracy is not separated from it, the most accurate first.
        chosen: of these and the best one the fastest that learnt anything; the best one if their speeds do not compare.
        fastest_by: what the chosen one was found to be the fastest by: the race, the race but within chance, or medians
            of one process each; empty if the speeds do not compare.
        doubts: why it is no more than the best that is known here; empty if it can be shipped.
        objections: why each row outside of the limits is.
    """

    metric: str
    best: Hashable | None
    tied: tuple[Hashable, ...]
    chosen: Hashable | None
    fastest_by: FastestBy
    doubts: tuple[str, ...]
    objections: Mapping[Hashable, str]

    @property
    def ships(self) -> bool:
        """Whether the chosen row can be called the one to ship."""
        return self.chosen is not None and not self.doubts


def choose(dataset: DatasetAnalysis, bounds: Bounds | None = None, metric: str = "map") -> Choice:
    """Choose the fastest of the rows that are not separated in accuracy from the most accurate one within the limits.

    Args:
        dataset: one table of rows that compare.
        bounds: the limits; None: no limits.
        metric: map, map_50 or map_75.
    """
    rows, bounds = dataset.rows, bounds or Bounds()
    problems = {state.trial.trial_id: state.problem for state in dataset.states if state.problem is not None}
    objections = {index: text for index, row in rows.iterrows() if (text := _objections(row, bounds, metric, problems))}
    within = rows[~rows.index.isin(objections)].sort_values(
        [metric, "latency_median_s"], ascending=[False, True], kind="stable"
    )
    if within.empty:
        return Choice(metric=metric, best=None, tied=(), chosen=None, fastest_by="", doubts=(), objections=objections)
    best = within.index[0]
    errors = dataset.significance
    if metric != "map":
        errors = significance.compare_all(rows[~rows["subset"]], dataset.analyses, metric)
    tied = tuple(index for index in within.index[1:] if _not_separated(errors, best, index))
    chosen = best
    if dataset.speeds.compare_together((best, *tied)):
        learnt = [index for index in tied if within.loc[index, "map"] >= MIN_MAP]
        chosen = dataset.speeds.fastest((best, *learnt))
    doubts = tuple(_doubts(dataset, within, (best, *tied), chosen, errors, bounds))
    stored = errors.estimates.get(chosen)
    if stored is not None and abs(stored.value - within.loc[chosen, metric]) > ROUNDING:
        doubts += (f"its stored detections have another {metric}, {number(stored.value, 3)}",)
    return Choice(
        metric=metric,
        best=best,
        tied=tied,
        chosen=chosen,
        fastest_by=_fastest_by(dataset.speeds, chosen, (best, *tied)),
        doubts=doubts,
        objections=objections,
    )


def _not_separated(errors: Significance, best: Hashable, other: Hashable) -> bool:
    pair = errors.pair(best, other)
    return pair is not None and not pair.separated


def _fastest_by(speeds: Speeds, chosen: Hashable, together: tuple[Hashable, ...]) -> FastestBy:
    """Say by what one of several rows was found to be the fastest; empty if their speeds do not compare."""
    if not speeds.compare_together(together):
        return ""
    words = {speeds.claim(chosen, other).word for other in together if other != chosen}
    if "not raced" in words:
        return "medians"
    return "race" if words <= {"faster"} else "chance"


def _doubts(
    dataset: DatasetAnalysis,
    within: pd.DataFrame,
    together: tuple[Hashable, ...],
    chosen: Hashable,
    errors: Significance,
    bounds: Bounds,
) -> list[str]:
    """Return what stands against shipping the chosen row."""
    row, rows = within.loc[chosen], dataset.rows
    doubts = []
    if within.loc[together[0], "map"] < MIN_MAP:
        doubts.append("it finds next to nothing: train longer, or look at the data")
    if row["n"] < row["asked"]:
        doubts.append(f"only {row['n']} of its {row['asked']} seeds succeeded")
    full = rows[~rows["subset"]]
    missing = full[full["map"].isna() & ~full["outcomes"].eq(CANNOT)] if len(full) else full
    if len(missing):
        doubts.append(
            f"{len(missing)} of {counted(len(full), 'row')} {'is' if len(missing) == 1 else 'are'} not measured"
        )
    unknown = [index for index in within.index if index not in errors.estimates]
    if unknown and len(within) > 1:
        doubts.append(f"it is not known how certain the accuracy of {counted(len(unknown), 'row')} is")
    if chosen in dataset.speeds.mixed:
        doubts.append("its seeds were measured in different environments")
    elif not dataset.speeds.compare_together(together):
        doubts.append("the speeds of those not separated in accuracy do not compare")
    elif bounds.max_latency_s is not None and not dataset.speeds.compare_together(tuple(within.index)):
        doubts.append("the speeds of the rows do not compare, so neither do they with one limit")
    if dataset.speeds.failed_in_race(row["configuration"], row["variant"]):
        doubts.append("it failed in the race")
    if dataset.apart:
        doubts.append("other rows of this dataset do not compare with it")
    return doubts


def _objections(row: pd.Series, bounds: Bounds, metric: str, problems: Mapping[str, str]) -> str:
    """Return the reasons why a row cannot be chosen; empty if it can."""
    if row["subset"]:
        return "only a subset of the images"
    if math.isnan(row[metric]) and not math.isnan(row["latency_median_s"]):
        return "no accuracy: the evaluated split has no boxes"
    if math.isnan(row[metric]) or math.isnan(row["latency_median_s"]):
        reasons = [reason for name, reason in row["warnings"] if name == CANNOT]
        reasons += [problems[trial_id] for trial_id in row["all_trial_ids"] if trial_id in problems]
        return f"not measured: {reasons[0] if reasons else row['outcomes'].replace('_', ' ')}"
    milliseconds = ("ms", 1e3, 1)
    limits = (
        ("", row["latency_median_s"], bounds.max_latency_s, 1, milliseconds),
        ("", row["inference_memory_bytes"], bounds.max_memory_bytes, 1, ("MiB", 2.0**-20, 0)),
        (f"{metric} ", row[metric], bounds.min_metric, -1, ("", 1.0, 3)),
    )
    return "; ".join(
        text for name, value, limit, sign, unit in limits if (text := _beyond(name, value, limit, sign, unit))
    )


def _beyond(name: str, value: float, limit: float | None, sign: int, unit: tuple[str, float, int]) -> str:
    """Say that a value is over a limit (`sign` 1) or below it (-1), with so many digits that the two differ.

    Args:
        unit: its name, its factor to the SI unit, and how many digits are enough for most.
    """
    if limit is None or sign * value <= sign * limit:
        return ""
    if math.isnan(value):
        return f"{name.strip() or 'its ' + ('memory' if unit[0] == 'MiB' else 'latency')} is not known"
    symbol, factor, digits = unit
    while number(value * factor, digits) == number(limit * factor, digits):
        digits += 1
    shown, bound = (f"{number(x * factor, digits)} {symbol}".strip() for x in (value, limit))
    return f"{name}{shown} is {'over' if sign > 0 else 'below'} {bound}"
