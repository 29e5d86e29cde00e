"""From tensors and samples to the arrays that `harness.store.tables` writes: the border between torch and the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.store.arrays import StoredDetections, StoredGroundTruth, StoredTimings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harness.trial.evaluate.detect import Detections, GroundTruth
    from harness.trial.inputs.item import Items
    from harness.trial.measure.timing import Sample


def stored_ground_truth(truths: Sequence[GroundTruth], items: Items) -> StoredGroundTruth:
    """The ground truth of a split, one entry of `truths` for each of its items; files by absolute path."""
    paths = [items.path(index) for index in range(len(truths))]
    return StoredGroundTruth(
        class_names=items.class_names,
        images=tuple(truth.name for truth in truths),
        files=tuple(str(Path(path).absolute()) if path is not None else None for path in paths),
        offsets=np.cumsum([0, *(len(truth.labels) for truth in truths)]).astype(np.int64),
        boxes=_joined([truth.boxes for truth in truths]).reshape(-1, 4).double().numpy(),
        classes=_joined([truth.labels for truth in truths]).long().numpy() - 1,
        crowds=_joined([truth.crowds for truth in truths]).bool().numpy(),
        areas=_joined([truth.areas for truth in truths]).double().numpy(),
    )


def stored_detections(detections: Sequence[Detections]) -> StoredDetections:
    """The detections of a split, one entry for each of its images, in their order."""
    counts = [len(one.scores) for one in detections]
    return StoredDetections(
        images=np.repeat(np.arange(len(counts), dtype=np.int64), counts),
        classes=_joined([one.labels for one in detections]).long().numpy() - 1,
        scores=_joined([one.scores for one in detections]).double().numpy(),
        boxes=_joined([one.boxes for one in detections]).reshape(-1, 4).double().numpy(),
    )


def stored_timings(samples: Sequence[Sample]) -> StoredTimings:
    """The timings of one deployment, in the order in which they were taken."""
    return StoredTimings(
        passes=np.array([sample.name for sample in samples], dtype=np.str_),
        repeats=np.array([sample.repeat for sample in samples], dtype=np.int64),
        rounds=np.array([sample.round for sample in samples], dtype=np.int64),
        images=np.array([sample.index for sample in samples], dtype=np.int64),
        counts=np.array([sample.images for sample in samples], dtype=np.int64),
        seconds=np.array([sample.seconds for sample in samples], dtype=np.float64),
    )


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if tensors else torch.zeros(0)
