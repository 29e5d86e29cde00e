"""The page's section on what goes wrong: kinds of errors and their cost, confusions, and the images to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.tide import KINDS
from harness.formatting import number, points, short_name
from harness.report.markup import escape, figure, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.images import AnalysedRow
    from harness.report.figures.drawn import Drawn

from harness.analysis.images import analysed_rows, errors_by_image, most_disputed, worst_images

_MAX_CONFUSIONS = 8
_MAX_NAMED_IMAGES = 5
_MAX_IMAGE_NAME = 200  # characters
NOTHING = "nothing"


def section(dataset: DatasetAnalysis, drawn: Drawn) -> list[str]:
    """Return the cost of each kind of error, the commonest confusions, the worst and the most disputed images."""
    analysed = analysed_rows(dataset)
    if not analysed:
        return []
    costs = [_costs(row, analysis) for row, _, analysis in analysed]
    parts = ["### What goes wrong", table(("mAP50 gained without", *KINDS), costs), _KINDS]
    confusions = _confusions(analysed, analysed[0].analysis.class_names)
    if confusions:
        header = ("labelled", "detected as", *(escape(row["label"]) for row, _, _ in analysed))
        parts += [table(header, confusions, left=2), _CONFUSIONS]
    parts += figure(drawn, "confusion", "What labelled objects were detected as")
    if drawn.images:
        parts += ["### Images to look at", _images(analysed, drawn.images), _IMAGES]
        for kind, title in _SHEETS.items():
            parts += [f"**{title}**", *figure(drawn, kind, title)] if kind in drawn.paths else []
    return parts


def _costs(row: pd.Series, analysis: DetectionAnalysis) -> tuple[str, ...]:
    pairs = zip(analysis.error_costs, analysis.error_counts, strict=True)
    return (escape(row["label"]), *(f"{points(float(cost))} ({count:,})" for cost, count in pairs))


def _confusions(analysed: Sequence[AnalysedRow], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the commonest confusions of two classes, with the number of labelled objects of each architecture."""
    total = np.sum([analysis.confusion for _, _, analysis in analysed], axis=0)
    np.fill_diagonal(total, 0)
    order = np.argsort(-total, axis=None, kind="stable")[:_MAX_CONFUSIONS]
    labels = [*(escape(short_name(name)) for name in names), f"*{NOTHING}*"]
    return [
        (labels[row], labels[column], *(f"{analysis.confusion[row, column]:,}" for _, _, analysis in analysed))
        for row, column in zip(*np.unravel_index(order, total.shape), strict=True)
        if total[row, column]
    ]


def _images(analysed: Sequence[AnalysedRow], images: Sequence[str]) -> str:
    lines = []
    for row, _, analysis in analysed:
        f1, errors = errors_by_image(analysis)
        worst = [
            f"{_image_name(images[image])} (F1 {number(f1[image], 2)}, {errors[image]} wrong or missed)"
            for image in worst_images(analysis, _MAX_NAMED_IMAGES)
        ]
        lines.append(f"- **Worst for {escape(row['label'])}:** {', '.join(worst) or 'none has an error'}")
    labels = [escape(row["label"]) for row, _, _ in analysed]
    disputed = [
        f"{_image_name(images[image])} ({labels[first]} against {labels[second]}: {count})"
        for image, first, second, count in most_disputed(analysed, _MAX_NAMED_IMAGES)
    ]
    return "\n".join([*lines, *([f"- **Most disputed:** {', '.join(disputed)}"] if disputed else [])])


def _image_name(name: str) -> str:
    """Return the name of an image's file, whole unless it is absurd: a person looks for it on disk."""
    return escape(short_name(name, _MAX_IMAGE_NAME))


_KINDS = (
    "How much mAP at IoU 0.50 would gain if all errors of a kind were fixed, and in brackets how many there are (TIDE, "
    "Bolya et al. 2020). *Classification*: the place is right (IoU 0.50), the class is wrong. *Localisation*: the "
    "class is right, the IoU is between 0.1 and 0.50. *Both*: class and place are wrong. *Duplicate*: another "
    "detection matches the object already. *Background*: there is no object. *Missed*: no detection comes near the "
    "object. All detections count, however low their score, as they do for mAP; the gains do not add up."
)
_CONFUSIONS = (
    f"The commonest mistakes, counted at each class's best threshold. Labelled as *{NOTHING}* means a false alarm, "
    f"detected as *{NOTHING}* means a missed object. The picture shows the first three architectures and the fifteen "
    "classes with most boxes, as fractions of each labelled class."
)
_SHEETS = {
    "images": "A few images, the same in every report",
    "worst": "The worst image of each architecture, in the order of the table above",
    "disputed": "The most disputed images",
}
_IMAGES = (
    "At each class's best threshold. The worst images have the lowest F1, and among equal ones the most errors. The "
    "number of disputes counts the objects that only one of the two found, and the difference of their false "
    "detections. In the pictures, labelled boxes are blue, detections are green if they are right (IoU 0.50) and red "
    "if they are wrong, and missed objects are orange. Where names would hide a crowded image, numbers stand for them."
)
