"""The page's sections on speed: how certain a latency is, where the time goes, and other deployments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.frame import AT_THRESHOLD, CANNOT
from harness.formatting import metric_value, milliseconds, number, points
from harness.report.markup import escape, table
from harness.report.sections.summary import times
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis


def sections(dataset: DatasetAnalysis) -> list[str]:
    """Return latency in detail, the variants if there are any, and latency by score threshold on the front."""
    rows, front = dataset.rows, dataset.front
    parts: list[str] = []
    if rows["latency_median_s"].notna().any():
        parts += ["### Latency in detail", _detail(rows), _DETAIL]
    if (rows["variant"] != AS_TRAINED).any():
        parts += ["### The same weights, deployed in other ways", _variants(dataset)]
    columns = [name for name in rows if name.startswith(AT_THRESHOLD)]
    trained = rows[(rows["variant"] == AS_TRAINED) & rows["configuration"].isin(front["configuration"])]
    best = trained.dropna(subset=columns, how="all") if columns else trained.head(0)
    if not best.empty:
        parts += ["### Latency by score threshold", _thresholds(best, columns), _THRESHOLDS]
    return parts


_DETAIL = (
    "The trials' own timings, each of one process; n counts those of all rounds and seeds, ± is the standard deviation "
    "over seeds. The 95 % interval of the median is over images, from "
    "`samples.parquet`; only a row of one seed has it. With several seeds, the other columns are means over seeds. "
    "Phases are timed in separate rounds, which alternate with those of whole images: their sum should equal the "
    "median, and the last column shows how near it comes. Exported models do not show their phases."
)
_THRESHOLDS = (
    "Median ms at each score threshold, from a separate pass that takes the thresholds in turn for each image, for the "
    "architectures on the Pareto front as they were trained. A lower threshold leaves more candidates for non-maximum "
    "suppression."
)


def _detail(rows: pd.DataFrame) -> str:
    header = (
        "architecture", "n", "median ms", "± over seeds", "95 % interval", "IQR ms", "p99 ms",
        "transform ms", "forward ms", "post-processing ms", "sum ÷ median",
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
                milliseconds(row["latency_trial_s"]),
                milliseconds(row["latency_std_s"]),
                interval,
                milliseconds(row["latency_iqr_s"]),
                milliseconds(row["latency_p99_s"]),
                milliseconds(row["transform_s"]),
                milliseconds(row["forward_s"]),
                milliseconds(row["postprocess_s"]),
                number(total / row["latency_trial_s"], 2),
            )
        )
    return table(header, cells)


def _variants(dataset: DatasetAnalysis) -> str:
    """Return a table of each variant beside the model as it was trained."""
    header = (
        "architecture",
        "variant",
        "mAP",
        "difference",
        "latency ms",
        "times as fast",
        "speed",
        "compile s",
        "what it is",
    )
    cells = []
    for _, group in dataset.rows.groupby("configuration", sort=False):
        trained = group[group["variant"] == AS_TRAINED].iloc[0]
        for index, row in group.iterrows():
            is_trained = row["variant"] == AS_TRAINED
            description = "; ".join(
                (row["how"], *(reason for name, reason in row["warnings"] if name == CANNOT))
            ).strip("; ")
            cells.append(
                (
                    escape(row["architecture"] + (f" ({row['setting']})" if row["setting"] else "")),
                    AS_TRAINED if is_trained else escape(row["variant"]),
                    metric_value(row["map"]),
                    "" if is_trained else points(row["map"] - trained["map"]),
                    milliseconds(row["latency_median_s"]),
                    *(("", "") if is_trained else _speed(dataset, index, trained.name)),
                    number(row["compile_s"], 1),
                    escape(description),
                )
            )
    return table(header, cells, left=2)


def _speed(dataset: DatasetAnalysis, first: Hashable, second: Hashable) -> tuple[str, str]:
    claim = dataset.speeds.claim(first, second)
    return ("–", "–") if math.isnan(claim.times) else (times(claim), claim.word)


def _thresholds(best: pd.DataFrame, columns: list[str]) -> str:
    header = ("architecture", *(name.removeprefix(AT_THRESHOLD).removesuffix("_s") for name in columns))
    cells = [(escape(row["label"]), *(milliseconds(row[name]) for name in columns)) for _, row in best.iterrows()]
    return table(header, cells)
