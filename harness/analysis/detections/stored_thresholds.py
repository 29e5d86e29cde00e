"""The score threshold of best F1 of each class of one trial, from the detections that it stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.detections.ground_truth import ground_truth_of
from harness.analysis.detections.matching import find_overlaps, match
from harness.analysis.detections.thresholds import best_f1
from harness.errors import HarnessError
from harness.store.paths import stored
from harness.store.tables import UnreadableError, read_detections

if TYPE_CHECKING:
    from harness.store.paths import ResultFolder
    from harness.store.record import Record

_STEPS = 1000  # as the report prints it: rounded down, so that each detection that was counted passes


def best_thresholds(folder: ResultFolder, record: Record) -> dict[str, float]:
    """Return the threshold of each class that a detection was correct for; none where the stored files are gone.

    Args:
        folder: the trial's folder.
        record: the trial's record.
    """
    try:
        truth = ground_truth_of(folder, record, {})
        if truth is None:
            return {}
        detections = read_detections(stored(folder.detections()).read_bytes(), truth)
    except (OSError, UnreadableError, HarnessError):
        return {}
    best = best_f1(truth, detections, match(truth, detections, find_overlaps(truth, detections)))
    return {
        name: math.floor(threshold * _STEPS) / _STEPS
        for name, threshold in zip(truth.class_names, best.thresholds.tolist(), strict=True)
        if not math.isnan(threshold)
    }
