"""The page's section on scores: the best threshold of each class, and whether a score is a probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.detections.calibration import BINS, MIN_COUNT
from harness.analysis.frame import pareto_front
from harness.analysis.images import analysed_rows
from harness.formatting import metric_value, number, short_name
from harness.report.markup import escape, figure, table
from harness.report.sections.data import some_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.report.figures.drawn import Drawn


def section(dataset: DatasetAnalysis, drawn: Drawn) -> list[str]:
    """Return each class's threshold of best F1 for the rows on the Pareto front, and the calibration of all rows."""
    analysed = analysed_rows(dataset)
    if not analysed:
        return []
    front = set(pareto_front(dataset.rows[~dataset.rows["subset"]])["configuration"])
    classes, note = some_classes(analysed[0].analysis.class_names, dataset.boxes())
    parts = ["### Score thresholds", _BEST_THRESHOLDS]
    for row, trial_id, analysis in analysed:
        if row["configuration"] in front:
            parts.append(f"**{escape(row['label'])}** (trial {escape(trial_id)})")
            parts.append(_class_table(analysis, classes) + note)
    parts += figure(drawn, "precision-recall", "Precision over recall at IoU 0.50, by class")
    parts += figure(drawn, "calibration", "Fraction of correct detections by score")
    correct = [
        (
            escape(row["label"]),
            number(analysis.calibration_error, 3),
            *map(_fraction, analysis.calibration_precision.tolist(), analysis.calibration_counts.tolist()),
        )
        for row, _, analysis in analysed
    ]
    bins = (f"{k / BINS:.1f}–{(k + 1) / BINS:.1f}" for k in range(BINS))
    return [*parts, table(("fraction correct (detections), by score", "error", *bins), correct), _CALIBRATION]


def _fraction(correct: float, count: int) -> str:
    """Format the fraction correct of a bin with its number of detections; only the number where these are few."""
    if count == 0:
        return "–"
    return f"{number(correct, 2) if count >= MIN_COUNT else '–'} ({count:,})"


def _class_table(analysis: DetectionAnalysis, classes: Sequence[str]) -> str:
    header = (
        "class", "mAP", "95 % interval", "best threshold", "F1 there", "precision", "recall", "calibration error",
    )  # fmt: skip
    cells = []
    for name in classes:
        k = analysis.class_names.index(name)
        ends = f"{metric_value(analysis.class_low[k])} … {metric_value(analysis.class_high[k])}".replace("– … –", "–")
        # Rounded down, so that the printed threshold lets through every detection that the numbers beside it count.
        threshold = number(math.floor(analysis.thresholds[k] * 1000) / 1000, 3) if analysis.f1[k] > 0 else "–"
        fractions = (analysis.f1[k], analysis.precision[k], analysis.recall[k], analysis.class_calibration_errors[k])
        cells.append(
            (
                escape(short_name(name)),
                metric_value(analysis.class_map[k]),
                ends,
                threshold,
                *(number(value, 2) for value in fractions),
            )
        )
    return table(header, cells)


_BEST_THRESHOLDS = (
    "A deployment shows the detections that score at least a threshold. The best threshold of a class is the one of "
    "best F1 (a detection is correct at IoU 0.50). It was chosen on the same images that are reported here, so F1 is a "
    "little too good. Of several seeds, the trial of median mAP is shown."
)
_CALIBRATION = (
    "A score is calibrated if it equals the fraction of correct detections. The error is the mean distance of the two "
    "over ten bins, weighted by their number of detections (expected calibration error), over the detections above the "
    f"deployment's threshold. In brackets and by the size of the marks: how many detections a bin has. Of fewer than "
    f"{MIN_COUNT} the fraction would be chance: it is left out of the table, and its mark is hollow."
)
