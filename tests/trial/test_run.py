"""What a trial's record says of a training: the epochs it took, where it stopped, and what was found on val."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.frame import _budget
from harness.store import files, paths, record
from harness.store.job import JOB, Job
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.trial.train.validate import plateau_factor
from tests.conftest import FAST, TOY
from tests.executors.attempt import attempt
from tests.executors.fork_server import fork_from


def _record(suite: Path) -> record.Record:
    (trial,) = plan_trials(load_suite(suite), {"shapes": "f"}, max_images=None)
    folder = paths.TrialFolder(suite.parent / "trial")
    place = folder.next_attempt()
    job = Job(trial=trial, number=1, device="cpu", threads=2, import_folder=str(suite.parent))
    files.commit(place.job, record.encode(JOB, job))
    process = fork_from(attempt, str(place.path))
    process.join()
    assert process.exitcode == 0, place.log.read_text()
    return record.decode(record.RECORD, folder.record.read_bytes(), str(folder.record))


def test_early_stopping_is_in_the_record(tiny_suite: Callable[..., Path]) -> None:
    """With a rise that no mAP can make, training ends after the first validation and `patience` more."""
    rule = "validate_every: 2, early_stopping: {patience: 2, min_delta: 1.0}, schedule: plateau, plateau_patience: 0"
    found = _record(
        tiny_suite(architectures=TOY, rest=f"hyperparameters: {{epochs: 30, batch_size: 2, {rule}}}\n{FAST}")
    )
    epochs = found.measurements.epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    assert found.measurements.stopped_epoch == found.model.epoch == 6
    assert [epoch.val_loss is not None for epoch in epochs] == [False, True] * 3
    assert all(epoch.val_loss > 0 and math.isfinite(epoch.val_loss) for epoch in epochs if epoch.val_loss is not None)
    maps = [epoch.val_map for epoch in epochs if epoch.val_map is not None]
    factor = plateau_factor(maps[:2], gamma=0.1, patience=0)
    assert epochs[-1].lr == pytest.approx((found.trial.hyperparameters.lr or 0.0) * factor)


def test_repeated_images_are_counted_in_the_record(tiny_suite: Callable[..., Path]) -> None:
    """A threshold of 1 repeats every image that lacks no class; the budget is what was really seen."""
    rule = "class_balance: repeat_factor, repeat_threshold: 1.0, augmentation: {vflip: 0.5, random_crop: 0.5}"
    data = (
        "  shapes: {format: synthetic, train: {images: 12}, val: {images: 2}, size: 64, classes: 6, max_objects: 2}\n"
    )
    suite = tiny_suite(
        datasets=data, architectures=TOY, rest=f"hyperparameters: {{epochs: 3, batch_size: 2, {rule}}}\n{FAST}"
    )
    found = _record(suite)
    assert found.measurements.images_seen is not None
    assert found.measurements.images_seen > 3 * 12
    assert found.measurements.stopped_epoch is None
    assert _budget(found)["images_seen"] == found.measurements.images_seen
    older = replace(found, measurements=replace(found.measurements, images_seen=None))
    assert _budget(older)["images_seen"] == 3 * 12
