"""The page's section on warnings: those of each row, with their reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import metric_value
from harness.report.markup import escape

if TYPE_CHECKING:
    from harness.analysis.suite import SuiteAnalysis


_ROUNDING = 1e-3  # of mAP: stored boxes are float32, as are those of torchmetrics


def section(suite: SuiteAnalysis) -> list[str]:
    """Return every warning of every row, and where records and stored detections contradict each other."""
    lines = [
        f"- {escape(row['label'])} on {escape(row['dataset'])}: {escape(name)}: {escape(reason)}"
        for _, row in suite.frame.iterrows()
        for name, reason in row["warnings"]
    ]
    for dataset in suite.datasets:
        for index, interval in dataset.significance.intervals.items():
            row = dataset.rows.loc[index]
            if abs(interval.value - row["map"]) > _ROUNDING:
                lines.append(
                    f"- {escape(row['label'])} on {escape(row['dataset'])}: its records have mAP "
                    f"{metric_value(row['map'])}, but its stored detections have {metric_value(interval.value)} on the "
                    "stored labels: they do not belong together"
                )
    return ["## Warnings", "\n".join(dict.fromkeys(lines))] if lines else []
