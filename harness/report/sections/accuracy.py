"""The page's section on accuracy by class and size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.frame import leading_rows, result_of_variant
from harness.formatting import counted, metric_value, short_name
from harness.report.markup import escape, table
from harness.report.sections.data import some_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.store.record import Record

_MAX_COLUMNS = 6  # architectures side by side
_SIZES = ("small", "medium", "large")


def section(dataset: DatasetAnalysis) -> list[str]:
    """Return a table by object size for every row, and one by class for the best rows."""
    measured = dataset.rows[dataset.rows["map"].notna()]
    if measured.empty:
        return []
    names = ["map_50", "map_75", *(f"map_{size}" for size in _SIZES), "mar_100"]
    header = ["architecture", "± over seeds", "mAP50", "mAP75", *_SIZES, "recall, 100 detections"]
    if measured["map_at_detections"].notna().any():
        kept = sorted({record.trial.protocol.detections for record in dataset.measured.values()})
        names.append("map_at_detections")
        header.append(f"mAP, {' / '.join(map(str, kept))} detections")
    cells = []
    for _, row in measured.iterrows():
        results = [result_of_variant(record, row["variant"]) for record in dataset.records(row)]
        metrics = [result.metrics for result in results if result is not None]
        cells.append(
            (
                escape(row["label"]),
                metric_value(row["map_std"]),
                *(metric_value(_mean([getattr(m, name) for m in metrics])) for name in names),
            )
        )
    parts = ["### Accuracy by size and class", table(header, cells)]
    shown = leading_rows(dataset.rows, _MAX_COLUMNS)
    if shown.empty or len(dataset.class_names) < 2:  # noqa: PLR2004 - with one class, the table above has all numbers
        return parts
    classes, note = some_classes(dataset.class_names, dataset.boxes())
    records = [dataset.records(row) for _, row in shown.iterrows()]
    by_class = [
        (escape(short_name(name)), *(metric_value(_class_map(seeds, name)) for seeds in records)) for name in classes
    ]
    heads = ("mAP of class", *(escape(row["label"]) for _, row in shown.iterrows()))
    return [*parts, table(heads, by_class), _class_note(dataset, shown, note)]


def _class_note(dataset: DatasetAnalysis, shown: pd.DataFrame, note: str) -> str:
    hidden = int(dataset.rows["configuration"].nunique()) - len(shown)
    text = "Means over seeds, COCO's mAP over IoU 0.50:0.95."
    text += f" The table by class leaves out {counted(hidden, 'row')}." if hidden > 0 else ""
    return text + note


def _class_map(records: Sequence[Record], name: str) -> float:
    metrics = [record.metrics.per_class.get(name) for record in records]
    return _mean([metric.map if metric else None for metric in metrics])


def _mean(values: Sequence[float | None]) -> float:
    """Average over the seeds that have a value; NaN if none has one."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else math.nan
