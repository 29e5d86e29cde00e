"""The page's section on scores: where to cut them for each class, and how far to read them as probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.report.data import some_classes
from harness.report.evidence.threshold import BINS
from harness.report.frames import pareto_front
from harness.report.mistakes import examined
from harness.report.numbers import number, share
from harness.report.text import escape, figure, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.drawing import Drawn
    from harness.report.evidence.examine import Evidence
    from harness.report.part import Part


def section(part: Part, drawn: Drawn) -> list[str]:
    """The threshold of best F1 of each class for the detectors on the Pareto front, and calibration for all."""
    known = examined(part)
    if not known:
        return []
    front = set(pareto_front(part.rows[~part.rows["rehearsal"]])["configuration"])
    chosen, note = some_classes(known[0][2].class_names, part.boxes())
    parts = ["### Where to cut the scores", _CUTS]
    for row, trial_id, evidence in known:
        if row["configuration"] in front:
            parts.append(f"**{escape(row['label'])}** (trial {escape(trial_id)})")
            parts.append(_cuts(evidence, chosen) + note)
    parts += figure(drawn, "precision-recall", "Precision over recall at IoU 0.50, by class")
    parts += figure(drawn, "calibration", "Share of right detections by score")
    right = [
        (
            escape(row["label"]),
            number(evidence.calibration_error, 3),
            *(number(value, 2) for value in evidence.calibration_precision.tolist()),
        )
        for row, _, evidence in known
    ]
    bins = (f"{k / BINS:.1f}–{(k + 1) / BINS:.1f}" for k in range(BINS))
    return [*parts, table(("share that is right, of scores", "error", *bins), right), _CALIBRATION]


def _cuts(evidence: Evidence, chosen: Sequence[str]) -> str:
    header = (
        "class", "mAP", "95 % interval", "best threshold", "F1 there", "precision", "recall", "calibration error",
    )  # fmt: skip
    cells = []
    for name in chosen:
        k = evidence.class_names.index(name)
        ends = f"{share(evidence.class_low[k])} … {share(evidence.class_high[k])}".replace("– … –", "–")
        # Rounded down, so that the threshold as printed shows what the numbers beside it count.
        cut = number(math.floor(evidence.thresholds[k] * 1000) / 1000, 3) if evidence.f1[k] > 0 else "–"
        shares = (evidence.f1[k], evidence.precision[k], evidence.recall[k], evidence.class_calibration_errors[k])
        cells.append((escape(name), share(evidence.class_map[k]), ends, cut, *(number(value, 2) for value in shares)))
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
