"""Whether a score can be read as a probability: the expected calibration error over bins of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches
    from harness.store.arrays import StoredDetections, StoredGroundTruth


BINS = 10
# Detections in a bin: the 95 % interval of a fraction near 0.5 reaches 0.98 / √30 = 0.18 to either side.
MIN_COUNT = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How often a detection of a given score is correct; NaN where a bin or a class has no detection.

    Attributes:
        counts: int64 [10], the number of detections in each bin of scores, 0.1 wide.
        scores: float64 [10], their mean score.
        precision: float64 [10], the fraction of them that is correct at IoU 0.50.
        error: the expected calibration error: the mean distance of `scores` and `precision`, weighted by `counts` (Guo
            et al., 2017, arXiv:1706.04599, equation 3, with precision in place of accuracy).
        class_errors: float64 [K], the expected calibration error of each class.
    """

    counts: NDArray[np.int64]
    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    error: float
    class_errors: NDArray[np.float64]


def calibrate(
    ground_truth: StoredGroundTruth, detections: StoredDetections, matches: Matches, *, min_score: float
) -> Calibration:
    """Compare scores with precision over the detections that score `min_score` or more.

    A deployment never shows the thousands of detections that score less.
    """
    rows = (matches.ignored & 1 == 0) & (detections.scores >= min_score)
    scores, true = detections.scores[rows], (matches.true[rows] & 1).astype(np.float64)
    counts, mean_scores, precision = _bin_scores(scores, true)
    classes = detections.classes[rows]
    errors = np.full(len(ground_truth.class_names), np.nan)
    for number in np.unique(classes):
        of_class = classes == number
        errors[number] = _error(*_bin_scores(scores[of_class], true[of_class]))
    return Calibration(
        counts=counts,
        scores=mean_scores,
        precision=precision,
        error=_error(counts, mean_scores, precision),
        class_errors=errors,
    )


def _bin_scores(
    scores: NDArray[np.float64], true: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the count, the mean score and the precision of each bin; NaN for an empty bin."""
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    empty = np.full(BINS, np.nan)
    mean_scores = np.divide(np.bincount(bins, scores, BINS), counts, out=empty.copy(), where=counts > 0)
    precision = np.divide(np.bincount(bins, true, BINS), counts, out=empty, where=counts > 0)
    return counts.astype(np.int64), mean_scores, precision


def _error(counts: NDArray[np.int64], scores: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    filled = counts > 0
    if not filled.any():
        return float("nan")
    return float(np.average(np.abs(scores - precision)[filled], weights=counts[filled]))
