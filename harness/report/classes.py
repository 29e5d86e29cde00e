"""The page's sections on accuracy by class and size, and on the scores: where to cut them, how far to believe them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.report.data import some_classes
from harness.report.evidence.threshold import BINS
from harness.report.frames import leading, pareto_front
from harness.report.numbers import number, share
from harness.report.text import escape, figure, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.report.drawing import Drawn
    from harness.report.part import Part
    from harness.store.record import Metrics, Record

_COLUMNS = 6  # architectures side by side
_SIZES = (("small", "small"), ("medium", "medium"), ("large", "large"))


def accuracy(part: Part) -> list[str]:
    """Tables by object size for every row, and by class for the best."""
    measured = part.rows[part.rows["map"].notna()]
    if measured.empty:
        return []
    sizes = [
        (escape(row["label"]), *(share(_over(part.records(row), row["variant"], f"map_{size}")) for size, _ in _SIZES),
         share(_over(part.records(row), row["variant"], "mar_100")))
        for _, row in measured.iterrows()
    ]  # fmt: skip
    parts = [
        "### Accuracy by size and class",
        table(("mAP of objects that are", *(name for _, name in _SIZES), "recall, 100 detections"), sizes),
    ]
    shown = leading(part.rows, _COLUMNS)
    names = list(part.records(measured.iloc[0])[0].metrics.per_class)
    if shown.empty or len(names) < 2:  # noqa: PLR2004 - of one class the table above tells all
        return parts
    chosen, note = some_classes(names, _boxes(part))
    cells = [
        (escape(name), *(share(_class_over(part.records(row), name)) for _, row in shown.iterrows())) for name in chosen
    ]
    header = ("mAP of class", *(escape(row["label"]) for _, row in shown.iterrows()))
    return [*parts, table(header, cells), _left_out(part, shown, note)]


def scores(part: Part, drawn: Drawn) -> list[str]:
    """The threshold of best F1 of each class for the detectors worth shipping, and calibration for all."""
    known = [(row, found) for _, row in leading(part.rows, _COLUMNS).iterrows() if (found := part.typical(row))]
    if not known:
        return []
    front = set(pareto_front(part.rows[~part.rows["rehearsal"]])["configuration"])
    parts = ["### Where to cut the scores", _CUTS]
    boxes = _boxes(part)
    for row, (trial_id, evidence) in known:
        if row["configuration"] not in front:
            continue
        names = list(part.records(row)[0].metrics.per_class)
        chosen, note = some_classes(names, boxes)
        cells = []
        for name in chosen:
            k = names.index(name)
            ends = f"{share(evidence.class_low[k])} … {share(evidence.class_high[k])}"
            cells.append(
                (
                    escape(name), share(evidence.class_map[k]), "–" if math.isnan(evidence.class_low[k]) else ends,
                    number(evidence.thresholds[k], 2), number(evidence.f1[k], 2), number(evidence.precision[k], 2),
                    number(evidence.recall[k], 2), number(evidence.class_calibration_errors[k], 2),
                )
            )  # fmt: skip
        header = (
            "class", "mAP", "95 % interval", "best threshold", "F1 there", "precision", "recall", "calibration error",
        )  # fmt: skip
        parts += [f"**{escape(row['label'])}** (trial {escape(trial_id)})", table(header, cells) + note]
    parts += figure(drawn, "precision-recall", "Precision over recall at IoU 0.50, by class")
    parts += figure(drawn, "calibration", "Share of right detections by score")
    right = [
        (escape(row["label"]), number(evidence.calibration_error, 3), *_bins(evidence.calibration_precision))
        for row, (_, evidence) in known
    ]
    heads = ("share that is right, of scores", "error", *(f"{b / BINS:.1f}–{(b + 1) / BINS:.1f}" for b in range(BINS)))
    return [*parts, table(heads, right), _CALIBRATION]


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


def _bins(values: NDArray[np.float64]) -> list[str]:
    return [number(value, 2) for value in values.tolist()]


def _left_out(part: Part, shown: pd.DataFrame, note: str) -> str:
    hidden = int(part.rows["configuration"].nunique()) - len(shown)
    said = "Means over seeds, COCO's mAP over IoU 0.50:0.95."
    said += f" {hidden} more rows are left out of the table by class." if hidden > 0 else ""
    return said + note


def _boxes(part: Part) -> dict[str, int]:
    """How many boxes of each class the evaluated split has, where records tell."""
    for state in part.states:
        if state.record and state.record.data.splits:
            return dict(state.record.data.splits[state.record.metrics.split].boxes_per_class)
    return {}


def _metrics(record: Record, variant: str) -> Metrics | None:
    return next((v.metrics for v in record.variants if v.name == variant), record.metrics)


def _over(records: Sequence[Record], variant: str, name: str) -> float:
    """The mean over seeds of one metric; NaN where none has it."""
    return _mean([getattr(_metrics(record, variant), name, None) for record in records])


def _class_over(records: Sequence[Record], name: str) -> float:
    return _mean([found.map if (found := record.metrics.per_class.get(name)) else None for record in records])


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan
