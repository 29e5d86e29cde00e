"""The ground truth of a trial: what the trial stored, or for an older record, the labels of its dataset."""

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
    """Return the ground truth of a trial; None if it stored none and its dataset is gone or has changed.

    Args:
        folder: the trial's folder.
        record: the trial's record.
        opened: the datasets that were opened already, by fingerprint; newly opened ones are added.

    Raises:
        UnreadableError: the trial's file is not a valid ground truth file.
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
    """Return a dataset's splits; empty if opening it needs the user's code, if it is gone, or if it has changed."""
    source = dataset.source
    if isinstance(source, PythonDataset):
        return {}
    try:
        splits, loaded = open_splits(source)
        current = fingerprint(source) if isinstance(source, SyntheticDataset) else loaded and loaded.fingerprint()
    except (DataError, OSError) as error:
        log.info("%s: cannot be opened any more: %s", dataset.name, error)
        return {}
    return splits if current == dataset.fingerprint else {}
