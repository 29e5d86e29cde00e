"""Which images tell most about the detectors: the worst of each, and those that two of them disagree about."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.analysis.frame import leading

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.detections.analyse import DetectionAnalysis

MAX_ANALYSED_ROWS = 12  # architectures that are looked at closely


class AnalysedRow(NamedTuple):
    """A row of the comparison, the id of its trial of median mAP, and the analysis of that trial's detections."""

    row: pd.Series
    trial_id: str
    analysis: DetectionAnalysis


def analysed_rows(dataset: DatasetAnalysis, max_rows: int = MAX_ANALYSED_ROWS) -> list[AnalysedRow]:
    """The rows that are looked at closely, each with its trial of median mAP and what that found; on equal labels."""
    rows = leading(dataset.rows, max_rows)
    known = [AnalysedRow(row, *found) for _, row in rows.iterrows() if (found := dataset.typical(row)) is not None]
    return [one for one in known if one[2].labels == known[0][2].labels]


def worst_images(analysis: DetectionAnalysis, count: int) -> NDArray[np.intp]:
    """Those of lowest F1 at the best thresholds, of equals those with most errors."""
    f1, errors = errors_by_image(analysis)
    order = np.lexsort((np.arange(len(f1)), -errors, f1))
    return order[errors[order] > 0][:count]


def most_disputed(known: Sequence[AnalysedRow], count: int) -> list[tuple[int, int, int, int]]:
    """(image, first, second, disputes), most disputed first: the two of `known` that disagree most about the image.

    A dispute is an object that one found and the other did not, or a wrong detection that one has more of.
    """
    best: dict[int, tuple[int, int, int, int]] = {}
    for (i, (_, _, ours)), (j, (_, _, theirs)) in itertools.combinations(enumerate(known), 2):
        if ours.labels != theirs.labels:
            continue
        disputes = _per_image(ours, ours.matched ^ theirs.matched) + np.abs(
            ours.n_false_positives - theirs.n_false_positives
        )
        for image in np.argsort(-disputes, kind="stable")[:count].tolist():
            found = (image, i, j, int(disputes[image]))
            if found[3] > best.get(image, (0, 0, 0, 0))[3]:
                best[image] = found
    return sorted(best.values(), key=lambda found: (-found[3], found[0]))[:count]


def errors_by_image(analysis: DetectionAnalysis) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """F1 and the number of errors of each image; an image without boxes and detections has an F1 of 1."""
    right = _per_image(analysis, analysis.matched)
    errors = analysis.n_false_positives + analysis.n_ground_truth - right
    f1 = np.divide(2 * right, 2 * right + errors, out=np.ones(len(right)), where=right + errors > 0)
    return f1, errors


def _per_image(analysis: DetectionAnalysis, boxes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of these boxes each image has."""
    sums = np.concatenate(([0], np.cumsum(boxes)))
    counted: NDArray[np.int64] = np.diff(sums[analysis.offsets])
    return counted
