"""How far a score can be read as a probability: expected calibration error over bins of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.detections.matching import Matches
    from harness.store.tables import StoredDetections, StoredGroundTruth


BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How often a detection of a given score is right.

    Attributes:
        counts: int64 [10], detections by score, in bins of 0.1.
        scores: float64 [10], their mean score.
        precision: float64 [10], the share of them that is true.
        error: expected calibration error: the mean distance of the two, weighted by `counts` (Guo et al., 2017,
            arXiv:1706.04599, equation 3, with precision in accuracy's place).
        class_errors: float64 [K], likewise for each class alone.
    """

    counts: NDArray[np.int64]
    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    error: float
    class_errors: NDArray[np.float64]


def calibrate(
    labels: StoredGroundTruth, detections: StoredDetections, matches: Matches, *, min_score: float
) -> Calibration:
    """Over detections that score `min_score` or more: of lower ones there are thousands, which nobody sees."""
    rows = (matches.ignored & 1 == 0) & (detections.scores >= min_score)
    scores, true = detections.scores[rows], (matches.true[rows] & 1).astype(np.float64)
    counts, mean_scores, precision = _binned(scores, true)
    classes = detections.classes[rows]
    errors = np.full(len(labels.class_names), np.nan)
    for number in np.unique(classes):
        own = classes == number
        errors[number] = _error(*_binned(scores[own], true[own]))
    return Calibration(
        counts=counts,
        scores=mean_scores,
        precision=precision,
        error=_error(counts, mean_scores, precision),
        class_errors=errors,
    )


def _binned(
    scores: NDArray[np.float64], true: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Count, mean score and precision of each bin."""
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    nothing = np.full(BINS, np.nan)
    mean_scores = np.divide(np.bincount(bins, scores, BINS), counts, out=nothing.copy(), where=counts > 0)
    precision = np.divide(np.bincount(bins, true, BINS), counts, out=nothing, where=counts > 0)
    return counts.astype(np.int64), mean_scores, precision


def _error(counts: NDArray[np.int64], scores: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    there = counts > 0
    if not there.any():
        return float("nan")
    return float(np.average(np.abs(scores - precision)[there], weights=counts[there]))
