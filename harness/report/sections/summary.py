"""The page's first lines: what to ship, what the alternatives are, and how certain that is."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from harness.analysis.frame import pareto_front
from harness.formatting import counted, gibibytes, metric_value, milliseconds, points
from harness.report.markup import escape

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.significance import Significance
    from harness.analysis.statistics import Interval
    from harness.store.results import TrialState

NOT_COMPARABLE = "not comparable"
_MIN_MAP = 0.01  # a model of lower mAP detects nothing
_WEIGHTS_OF = {
    "test": "test split, with the weights of the epoch that was best on val, or of the last one without val",
    "val": "val split, with the last epoch's weights",
}


def section(dataset: DatasetAnalysis) -> list[str]:
    """Return what to ship, which rows are faster, which ones tie, the Pareto front, and how certain that is."""
    rows, significance = dataset.rows, dataset.significance
    measured = rows.dropna(subset=["map", "latency_median_s"])
    if measured["subset"].any() and not measured["subset"].all():
        measured = measured[~measured["subset"]]
    if measured.empty and rows["latency_median_s"].notna().any():
        return ["The evaluated split has no boxes: the tables below show speed, but no accuracy."]
    if measured.empty:
        return ["Nothing is measured here yet."]
    best = measured.sort_values(["map", "latency_median_s"], ascending=[False, True], kind="stable").iloc[0]
    lines = [_ship(best, significance, subset=bool(measured["subset"].any()))]
    front = pareto_front(measured)
    if dataset.mixed:
        lines.append("**Speed:** the trials ran in different environments, so their speeds cannot be compared.")
    else:
        lines += [_faster(row, best, significance) for index, row in front[::-1].iterrows() if index != best.name]
    lines += _ties(measured, best, significance)
    lines += [] if dataset.mixed else [_front(front)]
    lines += [_how_certain(measured, dataset.states, significance), *_warnings(measured)]
    return ["\n".join(f"- {line}" for line in lines)]


def latency(row: pd.Series) -> str:
    """Format the median latency in ms, with the standard deviation over seeds where there are several."""
    spread = f" ± {milliseconds(row['latency_std_s'])}" if row["n"] > 1 else ""
    return f"{milliseconds(row['latency_median_s'])}{spread}"


def accuracy(row: pd.Series) -> str:
    """Format the mAP, with the standard deviation over seeds where there are several."""
    spread = f" ± {row['map_std']:.3f}" if row["n"] > 1 else ""
    return f"{metric_value(row['map'])}{spread}"


def span(interval: Interval | None) -> str:
    """Format the ends of a metric's interval."""
    return "–" if interval is None else f"{metric_value(interval.low)} … {metric_value(interval.high)}"


def change(interval: Interval) -> str:
    """Format a difference with its interval."""
    return f"{points(interval.value)} ({points(interval.low)} … {points(interval.high)})"


def seeds_error(a: pd.Series, b: pd.Series) -> float:
    """Return the standard error, over seeds, of the difference of two mean mAPs; NaN if a row has a single seed.

    Seeds are independent, so the variances of the two means add.
    """
    return math.hypot(*(row["map_std"] / math.sqrt(row["n"]) if row["n"] > 1 else math.nan for row in (a, b)))


def _ship(best: pd.Series, significance: Significance, *, subset: bool) -> str:
    memory = best["inference_memory_bytes"]
    interval = significance.intervals.get(best.name)
    interval_text = f" (95 % interval {span(interval)})" if interval else ""
    numbers = (
        f"{accuracy(best)} mAP{interval_text} at {latency(best)} ms (p95 {milliseconds(best['latency_p95_s'])})"
        + ("" if math.isnan(memory) else f" in {gibibytes(memory)} GiB")
    )  # fmt: skip
    if best["map"] < _MIN_MAP:
        name = escape(best["label"])
        return f"**Nothing to ship yet:** the best, {name}, has {numbers}: train longer, or look at the data."
    word = f"Most accurate ({NOT_COMPARABLE})" if subset else "Ship"
    return f"**{word} {escape(best['label'])}:** {numbers}."


def _faster(row: pd.Series, best: pd.Series, significance: Significance) -> str:
    times = best["latency_median_s"] / row["latency_median_s"]
    pair, error = significance.pair(row.name, best.name), seeds_error(row, best)
    value = pair.difference.value if pair else row["map"] - best["map"]
    errors = []
    if pair:
        errors.append(f"95 % interval {points(pair.difference.low)} … {points(pair.difference.high)}")
    if not math.isnan(error):
        errors.append(f"± {error:.3f} by seeds")
    cost = f"{points(value)} mAP" + (f" ({'; '.join(errors)})" if errors else "")
    if abs(value) < 2 * error:
        cost += "; with other seeds the sign may change"
    return f"**{escape(row['label'])}** is {times:.1f}× faster for {cost}."


def _ties(measured: pd.DataFrame, best: pd.Series, significance: Significance) -> list[str]:
    """Return a line on the rows whose accuracy cannot be told from the best one's; empty if there are none."""
    tied = [index for index in measured.index if _tie(significance, index, best.name)]
    if not tied:
        return []
    indices = [*tied, best.name]
    fastest = measured.loc[measured.loc[indices, "latency_median_s"].idxmin(), "label"]
    names = _listed([f"**{escape(measured.loc[index, 'label'])}**" for index in indices])
    return [
        f"{names} are a tie on accuracy: on these images a difference of this size may be chance. The fastest of them "
        f"is {escape(fastest)}."
    ]


def _warnings(measured: pd.DataFrame) -> list[str]:
    """Return a line on the rows that have measurement warnings, so that the first screen does not hide them."""
    by_label = {
        row["label"]: list(dict.fromkeys(name for name, _ in row["warnings"])) for _, row in measured.iterrows()
    }
    names = [f"{escape(label)} ({escape(', '.join(warnings))})" for label, warnings in by_label.items() if warnings]
    return [f"**Warnings:** {', '.join(names)}; [why](#warnings)."] if names else []


def _tie(significance: Significance, first: Hashable, second: Hashable) -> bool:
    pair = significance.pair(first, second)
    return pair is not None and pair.tie


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _front(front: pd.DataFrame) -> str:
    steps = [row for _, row in front.iterrows()]
    if len(steps) == 1:
        return f"**Pareto front:** {escape(steps[0]['label'])} alone: nothing else is faster or more accurate."
    text = f"**Pareto front,** fastest first: {escape(steps[0]['label'])}"
    for before, after in itertools.pairwise(steps):
        times = after["latency_median_s"] / before["latency_median_s"]
        text += (
            f"; then {escape(after['label'])}, {points(after['map'] - before['map'])} mAP for {times:.1f}× the latency"
        )
    return f"{text}."


def _how_certain(measured: pd.DataFrame, states: Sequence[TrialState], significance: Significance) -> str:
    seeds = sorted(set(measured["n"]))
    datasets = set(measured["dataset"])
    records = [state.record for state in states if state.record and state.trial.dataset.name in datasets]
    splits = {record.metrics.split for record in records}
    images = sorted({record.metrics.images for record in records})
    data = f"accuracy is on the {' and '.join(_WEIGHTS_OF[split] for split in sorted(splits))}"
    data += f" ({' or '.join([*(f'{count:,}' for count in images[:-1]), counted(images[-1], 'image')])})"
    text = "**How sure:** "
    if significance.intervals:
        text += "intervals show chance over images, with these trained weights; "
    if seeds == [1]:
        return (
            f"{text}one seed each (n=1), {data}; training again changes mAP by a point or more, so a small difference "
            "here decides nothing."
        )
    return f"{text}± is the standard deviation over {' or '.join(map(str, seeds))} seeds; {data}."
