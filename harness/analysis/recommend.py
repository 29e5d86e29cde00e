"""Which detector to ship within limits, and why each other one lost: arithmetic over the frame of configurations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis import environments
from harness.analysis.frame import CANNOT, configuration_frame, trial_frame
from harness.formatting import mebibytes, metric_value, milliseconds, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.store.results import TrialState

METRICS = ("map", "map_50", "map_75")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits that a detector must keep to; None is no limit."""

    max_latency_s: float | None = None
    max_memory_bytes: int | None = None
    min_metric: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to ship for one dataset.

    Attributes:
        dataset: the name of the dataset.
        metric: the metric that the chosen detector is the best in.
        chosen: the row of `Results.rows` to ship; None if no row is within the limits.
        lost: (label, reason) of every other row, the best one first.
        remarks: what weakens the advice, such as speeds that were measured on different machines.
    """

    dataset: str
    metric: str
    chosen: pd.Series | None
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
            return f"{self.dataset}: nothing keeps to these limits"
        return f"{self.dataset}: ship {self.label}: {sentence(self.chosen, self.metric)}"


def advise_for(states: Sequence[TrialState], bounds: Bounds, metric: str) -> tuple[Advice, ...]:
    """What to ship for each dataset of these trials, with a remark if they were measured in different environments."""
    advices = advise(configuration_frame(trial_frame(states)), bounds, metric)
    others = environments.differences([state.record.environment for state in states if state.record])
    if not others:
        return advices
    remark = f"measured in different environments ({'; '.join(others)}): their speeds do not compare"
    return tuple(replace(advice, remarks=(remark,)) for advice in advices)


def advise(frame: pd.DataFrame, bounds: Bounds, metric: str) -> tuple[Advice, ...]:
    """What to ship for each dataset: the best in `metric` within the bounds, and of equal rows the faster one.

    Args:
        frame: what `configuration_frame` returns; subset rows never win.
        bounds: the limits.
        metric: map, map_50 or map_75.
    """
    return tuple(_advise(str(dataset), rows, bounds, metric) for dataset, rows in frame.groupby("dataset", sort=False))


def sentence(row: pd.Series, metric: str) -> str:
    """Describe a row by its accuracy, latency and memory."""
    memory = row["inference_memory_bytes"]
    return (
        f"{metric} {metric_value(row[metric])} at {milliseconds(row['latency_median_s'])} ms "
        f"(p95 {milliseconds(row['latency_p95_s'])})" + ("" if math.isnan(memory) else f" in {mebibytes(memory)} MiB")
    )


def _advise(dataset: str, rows: pd.DataFrame, bounds: Bounds, metric: str) -> Advice:
    ordered = rows.sort_values([metric, "latency_median_s"], ascending=[False, True], kind="stable")
    objections = {index: _objections(row, bounds, metric) for index, row in ordered.iterrows()}
    chosen = next((ordered.loc[index] for index, reasons in objections.items() if not reasons), None)
    lost = []
    for index, row in ordered.iterrows():
        if chosen is None or index != chosen.name:
            lost.append((row["label"], "; ".join(objections[index]) or _behind(row, chosen, metric)))
    return Advice(dataset=dataset, metric=metric, chosen=chosen, lost=tuple(lost))


def _objections(row: pd.Series, bounds: Bounds, metric: str) -> list[str]:
    """Return the reasons why a row cannot be shipped; empty if it can."""
    if row["subset"]:
        return ["only a subset of the images"]
    if math.isnan(row[metric]) or math.isnan(row["latency_median_s"]):
        problem = next((reason for name, reason in row["warnings"] if name == CANNOT), None)
        return [f"not measured: {problem or row['outcomes']}"]
    reasons = []
    if bounds.max_latency_s is not None and row["latency_median_s"] > bounds.max_latency_s:
        reasons.append(f"{milliseconds(row['latency_median_s'])} ms is over {milliseconds(bounds.max_latency_s)} ms")
    memory = row["inference_memory_bytes"]
    if bounds.max_memory_bytes is not None and math.isnan(memory):
        reasons.append("its memory is not known")
    elif bounds.max_memory_bytes is not None and memory > bounds.max_memory_bytes:
        reasons.append(f"{mebibytes(memory)} MiB is over {mebibytes(bounds.max_memory_bytes)} MiB")
    if bounds.min_metric is not None and row[metric] < bounds.min_metric:
        reasons.append(f"{metric} {metric_value(row[metric])} is below {metric_value(bounds.min_metric)}")
    return reasons


def _behind(row: pd.Series, chosen: pd.Series | None, metric: str) -> str:
    """Say how far a row that keeps to the limits is behind the chosen one."""
    assert chosen is not None
    times = chosen["latency_median_s"] / row["latency_median_s"]
    speed = f"{times:.1f}× faster" if times >= 1 else f"{1 / times:.1f}× slower"
    return f"{metric} {metric_value(row[metric])}, {points(row[metric] - chosen[metric])}, {speed}"
