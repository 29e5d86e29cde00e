"""The labels that a trial was judged by: those it left, or of a record of an older version the dataset's own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from harness.data.open import fingerprint, open_splits
from harness.errors import DataError
from harness.store.arrays import StoredGroundTruth
from harness.store.paths import stored
from harness.store.tables import read_ground_truth
from harness.suite.schema import PythonDataset, SyntheticDataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.data.open import Split
    from harness.store.paths import ResultFolder
    from harness.store.record import Record
    from harness.suite.trial import TrialDataset

log = logging.getLogger(__name__)


def ground_truth_of(
    folder: ResultFolder, record: Record, opened: dict[str, Mapping[str, Split]]
) -> StoredGroundTruth | None:
    """None where the trial left none, and the dataset is gone or is not what it was.

    Args:
        opened: datasets by fingerprint, those that were opened already; takes others.

    Raises:
        UnreadableError: the trial's file is not what it must be.
        OSError: it cannot be read.
    """
    path = stored(folder.ground_truth)
    if path.is_file():
        return read_ground_truth(path.read_bytes(), tuple(record.metrics.per_class))
    dataset = record.trial.dataset
    if dataset.fingerprint not in opened:
        opened[dataset.fingerprint] = _open(dataset)
    split = opened[dataset.fingerprint].get(record.metrics.split)
    if split is None or split.annotations.class_names != tuple(record.metrics.per_class):
        return None
    max_images = record.trial.max_images
    annotations = split.annotations.first(max_images) if max_images else split.annotations
    if len(annotations) != record.metrics.images:
        return None
    return StoredGroundTruth(
        class_names=annotations.class_names,
        images=annotations.file_names,
        files=tuple(split.image_path(index) for index in range(len(annotations))),
        offsets=annotations.offsets,
        boxes=annotations.boxes.astype(np.float64),
        classes=annotations.labels,
        crowds=annotations.crowds,
        areas=annotations.areas.astype(np.float64),
    )


def _open(dataset: TrialDataset) -> dict[str, Split]:
    """Its splits; none where it cannot be opened without its owner's code, or has changed since."""
    source = dataset.source
    if isinstance(source, PythonDataset):
        return {}
    try:
        splits, loaded = open_splits(source)
        own = fingerprint(source) if isinstance(source, SyntheticDataset) else loaded.fingerprint() if loaded else None
    except (DataError, OSError) as error:
        log.info("%s: cannot be opened any more: %s", dataset.name, error)
        return {}
    return splits if own == dataset.fingerprint else {}
