"""The single seeds behind the rows of a comparison, as faint dots beside their means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis.frame import result_of_variant

if TYPE_CHECKING:
    from harness.analysis.dataset import DatasetAnalysis

_COLUMNS = ["label", "stages", "map", "latency_median_s"]


def seed_points(dataset: DatasetAnalysis) -> pd.DataFrame:
    """Return one row for each seed of the rows that are means over several, with its label, stages, mAP and latency."""
    points = []
    for _, row in dataset.rows.iterrows():
        results = [result_of_variant(record, row["variant"]) for record in dataset.records(row)]
        for result in results if len(results) > 1 else ():
            if result is not None and result.metrics is not None and result.measurements is not None:
                latency = result.measurements.latency_s.median
                points.append((row["label"], row["stages"], result.metrics.map, latency))
    return pd.DataFrame(points, columns=_COLUMNS).dropna(subset=["map"])
