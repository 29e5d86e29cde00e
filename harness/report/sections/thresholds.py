"""The page's section on scores: where to cut them for each class, and how far to read them as probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.detections.calibration import BINS
from harness.analysis.frame import pareto_front
from harness.analysis.images import analysed_rows
from harness.formatting import metric_value, number
from harness.report.markup import escape, figure, table
from harness.report.sections.data import some_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.report.figures.drawn import Drawn


def section(dataset: DatasetAnalysis, drawn: Drawn) -> list[str]:
    """The threshold of best F1 of each class for the detectors on the Pareto front, and calibration for all."""
    known = analysed_rows(dataset)
    if not known:
        return []
    front = set(pareto_front(dataset.rows[~dataset.rows["subset"]])["configuration"])
    chosen, note = some_classes(known[0][2].class_names, dataset.boxes())
    parts = ["### Where to cut the scores", _CUTS]
    for row, trial_id, analysis in known:
        if row["configuration"] in front:
            parts.append(f"**{escape(row['label'])}** (trial {escape(trial_id)})")
            parts.append(_cuts(analysis, chosen) + note)
    parts += figure(drawn, "precision-recall", "Precision over recall at IoU 0.50, by class")
    parts += figure(drawn, "calibration", "Share of right detections by score")
    right = [
        (
            escape(row["label"]),
            number(analysis.calibration_error, 3),
            *(number(value, 2) for value in analysis.calibration_precision.tolist()),
        )
        for row, _, analysis in known
    ]
    bins = (f"{k / BINS:.1f}–{(k + 1) / BINS:.1f}" for k in range(BINS))
    return [*parts, table(("share that is right, of scores", "error", *bins), right), _CALIBRATION]


def _cuts(analysis: DetectionAnalysis, chosen: Sequence[str]) -> str:
    header = (
        "class", "mAP", "95 % interval", "best threshold", "F1 there", "precision", "recall", "calibration error",
    )  # fmt: skip
    cells = []
    for name in chosen:
        k = analysis.class_names.index(name)
        ends = f"{metric_value(analysis.class_low[k])} … {metric_value(analysis.class_high[k])}".replace("– … –", "–")
        # Rounded down, so that the threshold as printed shows what the numbers beside it count.
        cut = number(math.floor(analysis.thresholds[k] * 1000) / 1000, 3) if analysis.f1[k] > 0 else "–"
        shares = (analysis.f1[k], analysis.precision[k], analysis.recall[k], analysis.class_calibration_errors[k])
        cells.append(
            (escape(name), metric_value(analysis.class_map[k]), ends, cut, *(number(value, 2) for value in shares))
        )
    return table(header, cells)


_CUTS = (
    "A deployment shows what scores at least a threshold. This is the one of best F1 for each class (a detection is "
    "right at IoU 0.50), chosen on the very images that are reported on, so a little too good; of several seeds the "
    "trial of median mAP."
)
_CALIBRATION = (
    "A score is calibrated where the share of right detections equals it. The error is the mean distance of the two "
    "over ten bins, weighted by their detections (expected calibration error), of detections above the deployment's "
    "threshold."
)
