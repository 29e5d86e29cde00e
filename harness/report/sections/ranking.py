"""The page's first table: accuracy, speed, budget and outcome of every row, one table for each kind of machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.formatting import mebibytes, metric_value, milliseconds, number
from harness.report.markup import escape, table
from harness.report.sections import summary
from harness.report.sections.summary import NOT_COMPARABLE

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis

_MAX_LETTERS = 6  # more would be long words, and the ranges say nearly the same
_HEADER = (
    "architecture", "mAP [95 %]", "rank", "latency ms", "p95 ms", "img/s (batch)", "memory MiB", "parameters M",
    "GFLOPs", "epochs", "images seen", "learning rate", "image size", "seeds", "outcome",
)  # fmt: skip


def main_tables(dataset: DatasetAnalysis) -> list[str]:
    """Return a table for each group of rows whose speeds compare, then the notes."""
    rows, groups = dataset.rows, dataset.speeds.groups
    alone = len(dataset.candidates) == 1  # on a front of its own: there is nothing that it could be ahead of
    front = {} if alone else {index: bool(row["front_separated"]) for index, row in dataset.front.iterrows()}
    letters = len(set("".join(rows["letters"]))) <= _MAX_LETTERS
    parts = []
    for number_, group in enumerate(groups, start=1):
        if len(groups) > 1:
            reasons = escape("; ".join(dataset.speeds.reasons)) if number_ == 1 else "as above"
            parts.append(f"**Speeds that compare, {number_} of {len(groups)}** (apart from the others: {reasons})")
        members = rows.loc[list(group)].iterrows()
        cells = [_cells(row, separated=front.get(index), letters=letters) for index, row in members]
        parts.append(table(_HEADER, cells))
    return [*parts, " ".join(_notes(dataset, front, letters=letters))]


def _cells(row: pd.Series, *, separated: bool | None, letters: bool) -> tuple[str, ...]:
    star = "" if separated is None else " ★" if separated else " ☆"
    return (
        escape(row["label"]) + star,
        summary.accuracy(row) + (" ‡" if row["inflated"] else ""),
        _rank(row, letters=letters),
        milliseconds(row["latency_median_s"]),
        milliseconds(row["latency_p95_s"]),
        f"{number(row['throughput_images_per_s'], 1)} ({number(row['batch_size'], 0)})".replace("– (–)", "–"),
        mebibytes(row["inference_memory_bytes"]),
        number(row["parameters"] / 1e6, 1),
        number(row["flops"] / 1e9, 1),
        number(row["epochs"], 0),
        number(row["images_seen"], 0),
        "–" if math.isnan(row["lr"]) else f"{row['lr']:g}",
        row["image_size"],
        str(row["n"]) if row["n"] == row["asked"] else f"{row['n']} of {row['asked']}",
        _outcome(row),
    )


def _rank(row: pd.Series, *, letters: bool) -> str:
    """Format the ranks that a row can have, and its letters: `1–2 a`."""
    if math.isnan(row["rank_low"]):
        return "–"
    low, high = int(row["rank_low"]), int(row["rank_high"])
    return f"{low if low == high else f'{low}–{high}'} {row['letters'] if letters else ''}".strip()


def _notes(dataset: DatasetAnalysis, front: dict[Hashable, bool], *, letters: bool) -> list[str]:
    rows = dataset.rows
    notes = []
    if any(front.values()):
        notes.append("★ is on the Pareto front, and separated from its neighbours there in accuracy and in speed.")
    if not all(front.values()):
        notes.append(
            "☆ is on the Pareto front by these numbers, but not separated from "
            + ("a neighbour there." if len(front) > 1 else "the most accurate of the others.")
        )
    if dataset.significance.estimates:
        shared = "; two rows share a letter exactly where they are not" if letters else ""
        over = "images and seeds" if rows["n"].max() > 1 else "images, for these weights"
        notes.append(f"A rank is a range where rows are not separated{shared}. Intervals are over {over}.")
    if rows["inflated"].any():
        worst = rows.loc[rows["inflated"], "map_inflation"].max()
        notes.append(
            f"‡ Few boxes a class inflate mAP here, by about {metric_value(worst)}: on many more images it would be "
            "lower, which the interval allows for."
        )
    if dataset.speeds.mixed:
        reasons = escape("; ".join(dataset.speeds.reasons))
        notes.append(f"Where a row's seeds do not compare in speed ({reasons}), its latency is a mean of such numbers.")
    if rows["latency_race_low_s"].notna().any():
        notes.append(
            "Latency and p95 are those of the race for the rows that raced, else the trials' own, of another hour."
        )
    if rows.loc[~rows["subset"] & rows["map"].notna(), "map_low"].isna().any():
        notes.append(
            "An mAP has no interval if its labels or detections are missing (an older version, `--no-bootstrap`) or "
            "cannot be read (`harness report` says why), or if only one image has boxes."
        )
    return notes


def _outcome(row: pd.Series) -> str:
    words = [row["outcomes"].replace("_", " ")]
    words += [NOT_COMPARABLE] if row["subset"] else []
    words += [escape(name) for name, _ in row["warnings"] if name != "subset"]
    return ", ".join(dict.fromkeys(words))
