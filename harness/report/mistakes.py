"""The page's section on what goes wrong: kinds of errors and their cost, confusions, and the images to look at."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from harness.report.evidence.tide import KINDS
from harness.report.frames import leading
from harness.report.numbers import number, points
from harness.report.text import escape, figure, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.report.drawing import Drawn
    from harness.report.evidence.examine import Evidence
    from harness.report.part import Part

    Examined = tuple[pd.Series, str, Evidence]  # a row, its trial of median mAP, and what that found

MOST = 12  # architectures that are looked at closely
_CONFUSIONS = 8
_NAMED = 5  # images
NOTHING = "nothing"


def section(part: Part, drawn: Drawn) -> list[str]:
    """The cost of each kind of error, the commonest confusions, the worst images and the most disputed."""
    known = examined(part)
    if not known:
        return []
    costs = [_costs(row, evidence) for row, _, evidence in known]
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


def examined(part: Part, most: int = MOST) -> list[Examined]:
    """The rows that are looked at closely, each with its trial of median mAP and what that found; on equal labels."""
    rows = leading(part.rows, most)
    known = [(row, *found) for _, row in rows.iterrows() if (found := part.typical(row)) is not None]
    return [one for one in known if one[2].labels == known[0][2].labels]


def worst_images(evidence: Evidence, count: int) -> NDArray[np.intp]:
    """Those of lowest F1 at the best thresholds, of equals those with most errors."""
    f1, errors = _by_image(evidence)
    order = np.lexsort((np.arange(len(f1)), -errors, f1))
    return order[errors[order] > 0][:count]


def most_disputed(known: Sequence[Examined], count: int) -> list[tuple[int, int, int, int]]:
    """(image, first, second, disputes), most disputed first: the two of `known` that disagree most about the image.

    A dispute is an object that one found and the other did not, or a wrong detection that one has more of.
    """
    best: dict[int, tuple[int, int, int, int]] = {}
    for (i, (_, _, ours)), (j, (_, _, theirs)) in itertools.combinations(enumerate(known), 2):
        if ours.labels != theirs.labels:
            continue
        disputes = _per_image(ours, ours.found ^ theirs.found) + np.abs(ours.wrong - theirs.wrong)
        for image in np.argsort(-disputes, kind="stable")[:count].tolist():
            found = (image, i, j, int(disputes[image]))
            if found[3] > best.get(image, (0, 0, 0, 0))[3]:
                best[image] = found
    return sorted(best.values(), key=lambda found: (-found[3], found[0]))[:count]


def _by_image(evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """F1 and the number of errors of each image; an image without boxes and detections has an F1 of 1."""
    right = _per_image(evidence, evidence.found)
    errors = evidence.wrong + evidence.looked_for - right
    f1 = np.divide(2 * right, 2 * right + errors, out=np.ones(len(right)), where=right + errors > 0)
    return f1, errors


def _per_image(evidence: Evidence, boxes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of these boxes each image has."""
    sums = np.concatenate(([0], np.cumsum(boxes)))
    counted: NDArray[np.int64] = np.diff(sums[evidence.offsets])
    return counted


def _costs(row: pd.Series, evidence: Evidence) -> tuple[str, ...]:
    pairs = zip(evidence.error_costs, evidence.error_counts, strict=True)
    return (escape(row["label"]), *(f"{points(float(cost))} ({count:,})" for cost, count in pairs))


def _confusions(known: Sequence[Examined], names: Sequence[str]) -> list[tuple[str, ...]]:
    """The commonest, in how many of the labelled objects they happen."""
    total = np.sum([evidence.confusion for _, _, evidence in known], axis=0)
    np.fill_diagonal(total, 0)
    order = np.argsort(-total, axis=None, kind="stable")[:_CONFUSIONS]
    called = [*map(escape, names), f"*{NOTHING}*"]
    return [
        (called[row], called[column], *(f"{evidence.confusion[row, column]:,}" for _, _, evidence in known))
        for row, column in zip(*np.unravel_index(order, total.shape), strict=True)
        if total[row, column]
    ]


def _images(known: Sequence[Examined], images: Sequence[str]) -> str:
    lines = []
    for row, _, evidence in known:
        f1, errors = _by_image(evidence)
        said = [
            f"{escape(images[image])} (F1 {number(f1[image], 2)}, {errors[image]} wrong or missed)"
            for image in worst_images(evidence, _NAMED)
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
