"""The page's section on warnings: each row's, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import metric_value
from harness.report.markup import escape

if TYPE_CHECKING:
    from harness.analysis.suite import SuiteAnalysis


_ROUNDING = 1e-3  # of mAP: stored boxes are float32, and so are torchmetrics'


def section(found: SuiteAnalysis) -> list[str]:
    lines = [
        f"- {escape(row['label'])} on {escape(row['dataset'])}: {escape(name)}: {escape(reason)}"
        for _, row in found.frame.iterrows()
        for name, reason in row["warnings"]
    ]
    for dataset in found.datasets:
        for index, interval in dataset.significance.intervals.items():
            row = dataset.rows.loc[index]
            if abs(interval.value - row["map"]) > _ROUNDING:
                lines.append(
                    f"- {escape(row['label'])} on {escape(row['dataset'])}: its records say mAP {metric_value(row['map'])}, "
                    f"but the stored detections have {metric_value(interval.value)} on the stored labels: they do not belong "
                    "together"
                )
    return ["## Warnings", "\n".join(dict.fromkeys(lines))] if lines else []
