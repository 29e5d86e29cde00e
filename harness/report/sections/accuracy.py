"""The page's section on accuracy by class and size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.frame import leading, result_of_variant
from harness.formatting import metric_value
from harness.report.markup import escape, table
from harness.report.sections.data import some_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.store.record import Record

_COLUMNS = 6  # architectures side by side
_SIZES = ("small", "medium", "large")


def section(dataset: DatasetAnalysis) -> list[str]:
    """Tables by object size for every row, and by class for the best."""
    measured = dataset.rows[dataset.rows["map"].notna()]
    if measured.empty:
        return []
    names = (*(f"map_{size}" for size in _SIZES), "mar_100")
    cells = []
    for _, row in measured.iterrows():
        found = [result_of_variant(record, row["variant"]) for record in dataset.records(row)]
        metrics = [one.metrics for one in found if one is not None]
        cells.append(
            (escape(row["label"]), *(metric_value(_mean([getattr(m, name) for m in metrics])) for name in names))
        )
    header = ("mAP of objects that are", *_SIZES, "recall, 100 detections")
    parts = ["### Accuracy by size and class", table(header, cells)]
    shown = leading(dataset.rows, _COLUMNS)
    if shown.empty or len(dataset.class_names) < 2:  # noqa: PLR2004 - of one class the table above tells all
        return parts
    chosen, note = some_classes(dataset.class_names, dataset.boxes())
    records = [dataset.records(row) for _, row in shown.iterrows()]
    by_class = [(escape(name), *(metric_value(_of_class(seeds, name)) for seeds in records)) for name in chosen]
    heads = ("mAP of class", *(escape(row["label"]) for _, row in shown.iterrows()))
    return [*parts, table(heads, by_class), _left_out(dataset, shown, note)]


def _left_out(dataset: DatasetAnalysis, shown: pd.DataFrame, note: str) -> str:
    hidden = int(dataset.rows["configuration"].nunique()) - len(shown)
    said = "Means over seeds, COCO's mAP over IoU 0.50:0.95."
    said += f" {hidden} more rows are left out of the table by class." if hidden > 0 else ""
    return said + note


def _of_class(records: Sequence[Record], name: str) -> float:
    return _mean([found.map if (found := record.metrics.per_class.get(name)) else None for record in records])


def _mean(values: Sequence[float | None]) -> float:
    """Over seeds; NaN where none has it."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan
