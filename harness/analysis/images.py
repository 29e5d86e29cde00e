"""Which images to look at: the worst ones of each detector, and those that two detectors disagree about."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.analysis.frame import leading_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.detections.analyse import DetectionAnalysis

MAX_ANALYSED_ROWS = 12  # rows whose errors, thresholds and curves the page shows


class AnalysedRow(NamedTuple):
    """A row of the comparison, the id of its trial of median mAP, and the analysis of that trial's detections."""

    row: pd.Series
    trial_id: str
    analysis: DetectionAnalysis


def analysed_rows(dataset: DatasetAnalysis, max_rows: int = MAX_ANALYSED_ROWS) -> list[AnalysedRow]:
    """Return the best rows with the analysis of their trial of median mAP, all on the first row's ground truth."""
    rows = leading_rows(dataset.rows, max_rows)
    analysed = [
        AnalysedRow(row, *typical) for _, row in rows.iterrows() if (typical := dataset.typical(row)) is not None
    ]
    return [
        row
        for row in analysed
        if row.analysis.ground_truth_fingerprint == analysed[0].analysis.ground_truth_fingerprint
    ]


def worst_images(analysis: DetectionAnalysis, count: int) -> NDArray[np.intp]:
    """Return the images of lowest F1 at the best thresholds that have errors; of equal ones, most errors first."""
    f1, errors = errors_by_image(analysis)
    order = np.lexsort((np.arange(len(f1)), -errors, f1))
    return order[errors[order] > 0][:count]


def most_disputed(analysed: Sequence[AnalysedRow], count: int) -> list[tuple[int, int, int, int]]:
    """Return the images that two detectors disagree most about: (image, first, second, number of disputes).

    `first` and `second` index `analysed`; each image stands once, with the pair that disagrees most. A dispute is an
    object that only one of the two found, or a false detection that one has more than the other.
    """
    best: dict[int, tuple[int, int, int, int]] = {}
    for (i, (_, _, a)), (j, (_, _, b)) in itertools.combinations(enumerate(analysed), 2):
        if a.ground_truth_fingerprint != b.ground_truth_fingerprint:
            continue
        disputes = _per_image(a, a.matched ^ b.matched) + np.abs(a.n_false_positives - b.n_false_positives)
        for image in np.argsort(-disputes, kind="stable")[:count].tolist():
            dispute = (image, i, j, int(disputes[image]))
            if dispute[3] > best.get(image, (0, 0, 0, 0))[3]:
                best[image] = dispute
    return sorted(best.values(), key=lambda dispute: (-dispute[3], dispute[0]))[:count]


def errors_by_image(analysis: DetectionAnalysis) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the F1 and the number of errors of each image; an image without boxes and detections has an F1 of 1."""
    correct = _per_image(analysis, analysis.matched)
    errors = analysis.n_false_positives + analysis.n_ground_truth - correct
    f1 = np.divide(2 * correct, 2 * correct + errors, out=np.ones(len(correct)), where=correct + errors > 0)
    return f1, errors


def _per_image(analysis: DetectionAnalysis, boxes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the selected boxes (bool [G]) of each image: int64 [I]."""
    sums = np.concatenate(([0], np.cumsum(boxes)))
    counts: NDArray[np.int64] = np.diff(sums[analysis.offsets])
    return counts
