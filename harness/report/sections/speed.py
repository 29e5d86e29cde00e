"""The page's closer look at speed: how sure a latency is, where the time goes, other deployments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.frame import AT_THRESHOLD, CANNOT
from harness.formatting import metric_value, milliseconds, number, points
from harness.report.markup import escape, table
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    import pandas as pd


def sections(rows: pd.DataFrame, front: pd.DataFrame) -> list[str]:
    """Latency in detail; variants, where there are; what the score threshold does to the best architectures.

    Args:
        front: the rows on the Pareto front.
    """
    parts: list[str] = []
    if rows["latency_median_s"].notna().any():
        parts += ["### Latency in detail", _detail(rows), _DETAIL]
    if (rows["variant"] != AS_TRAINED).any():
        parts += ["### The same weights, deployed in other ways", _variants(rows)]
    columns = [name for name in rows if name.startswith(AT_THRESHOLD)]
    plain = rows[(rows["variant"] == AS_TRAINED) & rows["configuration"].isin(front["configuration"])]
    best = plain.dropna(subset=columns, how="all") if columns else plain.head(0)
    if not best.empty:
        parts += ["### Latency by score threshold", _thresholds(best, columns), _THRESHOLDS]
    return parts


_DETAIL = (
    "n counts timings over all rounds and seeds; the 95 % interval of one model's median is over images, from "
    "`samples.parquet`; with several seeds the other columns are means of theirs. Phases are timed in rounds of their "
    "own, in turn with those of whole images: their sum should be the median, and the last column says how near it "
    "comes. Under onnxruntime they do not show."
)
_THRESHOLDS = (
    "Median ms at each score threshold, in a pass of its own, image by image in turn, for the architectures on the "
    "Pareto front as they were trained: more candidates, more non-maximum suppression."
)


def _detail(rows: pd.DataFrame) -> str:
    header = (
        "architecture", "n", "median ms", "95 % interval", "IQR ms", "p99 ms", "transform ms", "forward ms",
        "post-processing ms", "sum ÷ median",
    )  # fmt: skip
    cells = []
    for _, row in rows.dropna(subset=["latency_median_s"]).iterrows():
        total = row["transform_s"] + row["forward_s"] + row["postprocess_s"]
        interval = "–"
        if not math.isnan(row["latency_low_s"]):
            interval = f"{milliseconds(row['latency_low_s'])} to {milliseconds(row['latency_high_s'])}"
        cells.append(
            (
                escape(row["label"]),
                number(row["latency_n"], 0),
                milliseconds(row["latency_median_s"]),
                interval,
                milliseconds(row["latency_iqr_s"]),
                milliseconds(row["latency_p99_s"]),
                milliseconds(row["transform_s"]),
                milliseconds(row["forward_s"]),
                milliseconds(row["postprocess_s"]),
                number(total / row["latency_median_s"], 2),
            )
        )
    return table(header, cells)


def _variants(rows: pd.DataFrame) -> str:
    """Each variant beside the model as it was trained."""
    header = ("architecture", "variant", "mAP", "difference", "latency ms", "faster", "compile s", "what it is")
    cells = []
    for _, group in rows.groupby("configuration", sort=False):
        plain = group[group["variant"] == AS_TRAINED].iloc[0]
        for _, row in group.iterrows():
            own = row["variant"] == AS_TRAINED
            what = "; ".join((row["how"], *(reason for name, reason in row["warnings"] if name == CANNOT))).strip("; ")
            cells.append(
                (
                    escape(row["architecture"] + (f" ({row['setting']})" if row["setting"] else "")),
                    AS_TRAINED if own else escape(row["variant"]),
                    metric_value(row["map"]),
                    "" if own else points(row["map"] - plain["map"]),
                    milliseconds(row["latency_median_s"]),
                    ""
                    if own
                    else f"{number(plain['latency_median_s'] / row['latency_median_s'], 2)}×".replace("–×", "–"),
                    number(row["compile_s"], 1),
                    escape(what),
                )
            )
    return table(header, cells, left=2)


def _thresholds(best: pd.DataFrame, columns: list[str]) -> str:
    header = ("architecture", *(name.removeprefix(AT_THRESHOLD) for name in columns))
    cells = [(escape(row["label"]), *(milliseconds(row[name]) for name in columns)) for _, row in best.iterrows()]
    return table(header, cells)
