"""The page's section on what goes wrong: kinds of errors and their cost, confusions, and the images to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.tide import KINDS
from harness.formatting import number, points
from harness.report.markup import escape, figure, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.images import AnalysedRow
    from harness.report.figures.drawn import Drawn

from harness.analysis.images import analysed_rows, errors_by_image, most_disputed, worst_images

_CONFUSIONS = 8
_NAMED = 5  # images
NOTHING = "nothing"


def section(dataset: DatasetAnalysis, drawn: Drawn) -> list[str]:
    """The cost of each kind of error, the commonest confusions, the worst images and the most disputed."""
    known = analysed_rows(dataset)
    if not known:
        return []
    costs = [_costs(row, analysis) for row, _, analysis in known]
    parts = ["### What goes wrong", table(("mAP50 gained without", *KINDS), costs), _KINDS]
    confused = _confusions(known, known[0][2].class_names)
    if confused:
        header = ("labelled", "detected as", *(escape(row["label"]) for row, _, _ in known))
        parts += [table(header, confused, left=2), _CONFUSED]
    parts += figure(drawn, "confusion", "What labelled objects were detected as")
    if drawn.images:
        parts += ["### Images to look at", _images(known, drawn.images), _IMAGES]
        for kind, title in _SHEETS.items():
            parts += [f"**{title}**", *figure(drawn, kind, title)] if kind in drawn.paths else []
    return parts


def _costs(row: pd.Series, analysis: DetectionAnalysis) -> tuple[str, ...]:
    pairs = zip(analysis.error_costs, analysis.error_counts, strict=True)
    return (escape(row["label"]), *(f"{points(float(cost))} ({count:,})" for cost, count in pairs))


def _confusions(known: Sequence[AnalysedRow], names: Sequence[str]) -> list[tuple[str, ...]]:
    """The commonest, in how many of the labelled objects they happen."""
    total = np.sum([analysis.confusion for _, _, analysis in known], axis=0)
    np.fill_diagonal(total, 0)
    order = np.argsort(-total, axis=None, kind="stable")[:_CONFUSIONS]
    called = [*map(escape, names), f"*{NOTHING}*"]
    return [
        (called[row], called[column], *(f"{analysis.confusion[row, column]:,}" for _, _, analysis in known))
        for row, column in zip(*np.unravel_index(order, total.shape), strict=True)
        if total[row, column]
    ]


def _images(known: Sequence[AnalysedRow], images: Sequence[str]) -> str:
    lines = []
    for row, _, analysis in known:
        f1, errors = errors_by_image(analysis)
        said = [
            f"{escape(images[image])} (F1 {number(f1[image], 2)}, {errors[image]} wrong or missed)"
            for image in worst_images(analysis, _NAMED)
        ]
        lines.append(f"- **Worst for {escape(row['label'])}:** {', '.join(said) or 'none has an error'}")
    disputed = most_disputed(known, _NAMED)
    said = [
        f"{escape(images[image])} ({escape(known[i][0]['label'])} against {escape(known[j][0]['label'])}: {count})"
        for image, i, j, count in disputed
    ]
    return "\n".join([*lines, *([f"- **Most disputed:** {', '.join(said)}"] if said else [])])


_KINDS = (
    "What mAP at IoU 0.50 would gain were all errors of a kind mended, and how many there are (TIDE, Bolya et al. "
    "2020). *Classification*: the place is right (IoU 0.50), the class is wrong. *Localisation*: the class is right, "
    "the IoU between 0.1 and 0.50. *Both* are wrong. *Duplicate*: the object was found already. *Background*: nothing "
    "is there. *Missed*: an object that no detection comes near. All detections count, however low their score, as "
    "they do for mAP; gains do not add up."
)
_CONFUSED = (
    f"The commonest mistakes, counted at each class' best threshold; *{NOTHING}* labelled is a false alarm, detected "
    f"as *{NOTHING}* is a missed object. The picture shows the first three architectures and the fifteen classes with "
    "most boxes, as shares of each labelled class."
)
_SHEETS = {
    "images": "A few images, the same in every report",
    "worst": "The worst image of each architecture, in the order of the table above",
    "disputed": "The most disputed images",
}
_IMAGES = (
    "At each class' best threshold. Worst: the lowest F1, of equals the most errors. Disputed: how many objects one "
    "found and the other did not, and by how many their wrong detections differ. In the pictures, a few fixed images "
    "first: labels are blue; what is found is green if right (IoU 0.50), red if wrong; what is missed is orange."
)
