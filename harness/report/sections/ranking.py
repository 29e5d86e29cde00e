"""The page's first table: accuracy, speed and outcome of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.frame import pareto_front
from harness.formatting import metric_value, milliseconds, number
from harness.report.markup import escape, table
from harness.report.sections import summary
from harness.report.sections.summary import NOT_COMPARABLE

if TYPE_CHECKING:
    import pandas as pd


def speed_table(rows: pd.DataFrame, *, mixed: bool) -> str:
    """Return the table of all rows with its notes; `mixed`: speeds of several machines have no front."""
    has_intervals = rows["map_low"].notna().any()
    header = (
        "architecture", "mAP", *(("95 % interval", "group") if has_intervals else ()), "mAP50", "mAP75",
        "latency median ms", "p95 ms", "throughput img/s (batch)", "outcome",
    )  # fmt: skip
    front = set() if mixed else set(pareto_front(rows[~rows["subset"]]).index)
    cells = []
    for index, row in rows.iterrows():
        interval = f"{metric_value(row['map_low'])} … {metric_value(row['map_high'])}".replace("– … –", "–")
        cells.append(
            (
                escape(row["label"]) + (" ★" if index in front else ""),
                summary.accuracy(row),
                *((interval, number(row["tie_group"], 0)) if has_intervals else ()),
                metric_value(row["map_50"]),
                metric_value(row["map_75"]),
                summary.latency(row),
                milliseconds(row["latency_p95_s"]),
                f"{number(row['throughput_images_per_s'], 1)} ({number(row['batch_size'], 0)})".replace("– (–)", "–"),
                _outcome(row),
            )
        )
    notes = ["★ is on the Pareto front: no other row is both faster and more accurate."] if front else []
    notes += ["Intervals are over images; the rows of a group tie with its first row."] if has_intervals else []
    if rows.loc[~rows["subset"] & rows["map"].notna(), "map_low"].isna().any():
        notes.append(
            "An mAP has no interval if its labels or detections are missing (an older version, `--no-bootstrap`) or "
            "cannot be read (`harness report` says why), or if only one image has boxes."
        )
    return "\n\n".join([table(header, cells), " ".join(notes)] if notes else [table(header, cells)])


def _outcome(row: pd.Series) -> str:
    words = [row["outcomes"]]
    words += [NOT_COMPARABLE] if row["subset"] else []
    words += [escape(name) for name, _ in row["warnings"] if name != "subset"]
    return ", ".join(dict.fromkeys(words))
