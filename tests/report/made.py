"""Make labels and detections for tests, by hand or from a seed, and write them as a trial does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.detections.analyse import analyse_detections
from harness.store import tables
from harness.store.arrays import StoredDetections, StoredGroundTruth
from harness.store.record import ClassMetrics
from tests.store.make import make_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.store.job import Outcome
    from harness.store.paths import SuiteFolder
    from harness.store.record import Record
    from harness.suite.trial import Trial

Box = tuple[float, float, float, float]
CLASSES = ("disc", "square")


def labels(
    *images: Sequence[tuple[int, Box]], classes: tuple[str, ...] = CLASSES, crowds: Sequence[int] = ()
) -> StoredGroundTruth:
    """Make ground truth from the (class, box) pairs of each image; `crowds` are the rows that are crowd regions."""
    rows = [row for image in images for row in image]
    return StoredGroundTruth(
        class_names=classes,
        images=tuple(f"{number}.png" for number in range(len(images))),
        files=(None,) * len(images),
        offsets=np.cumsum([0, *map(len, images)]).astype(np.int64),
        boxes=np.array([box for _, box in rows], dtype=np.float64).reshape(-1, 4),
        classes=np.array([number for number, _ in rows], dtype=np.int64),
        crowds=np.isin(np.arange(len(rows)), crowds),
        areas=np.ones(len(rows)),
    )


def detections(*rows: tuple[int, int, float, Box]) -> StoredDetections:
    """Make detections from (image, class, score, box), in any order."""
    return _sorted(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.float64),
        np.array([row[3] for row in rows], dtype=np.float64).reshape(-1, 4),
    )


def drawn_labels(
    rng: np.random.Generator,
    *,
    images: int = 20,
    classes: int = 3,
    max_boxes: int = 4,
    crowds: float = 0.1,
    names: tuple[str, ...] | None = None,
) -> StoredGroundTruth:
    """Draw boxes of 10 to 40 pixels in images of 140 pixels; some images have none."""
    counts = rng.integers(0, max_boxes + 1, images)
    total = int(counts.sum())
    corners = rng.uniform(0, 100, (total, 2))
    return StoredGroundTruth(
        class_names=names or tuple(f"class {number}" for number in range(classes)),
        images=tuple(f"{number:04d}.png" for number in range(images)),
        files=(None,) * images,
        offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        boxes=np.hstack([corners, corners + rng.uniform(10, 40, (total, 2))]),
        classes=rng.integers(0, classes, total),
        crowds=rng.random(total) < crowds,
        areas=np.ones(total),
    )


def drawn_detections(
    rng: np.random.Generator, truth: StoredGroundTruth, *, each: int = 12, hits: float = 0.7, shift: float = 3.0
) -> StoredDetections:
    """Draw `each` detections an image; a fraction `hits` lies near a box, `shift` pixels away, mostly of its class."""
    images = np.repeat(np.arange(len(truth.images)), each)
    corners = rng.uniform(0, 100, (len(images), 2))
    boxes = np.hstack([corners, corners + rng.uniform(10, 40, (len(images), 2))])
    classes = rng.integers(0, len(truth.class_names), len(images))
    scores = rng.random(len(images)) * 0.6
    counts = np.diff(truth.offsets)[images]
    near = (rng.random(len(images)) < hits) & (counts > 0)
    box_of = np.minimum(
        truth.offsets[images] + (rng.random(len(images)) * counts).astype(int), max(0, len(truth.boxes) - 1)
    )
    moved = truth.boxes[box_of] + rng.normal(0, shift, (len(images), 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    boxes[near] = moved[near]
    classes = np.where(near & (rng.random(len(images)) < 0.8), truth.classes[box_of], classes)
    scores = np.where(near, scores + 0.4 * rng.random(len(images)), scores)
    return _sorted(images, classes, scores, boxes)


def write(
    folder: SuiteFolder,
    record: Record,
    truth: StoredGroundTruth,
    predictions: StoredDetections,
    variant: str | None = None,
) -> None:
    """Write ground truth and detections beside a trial's record."""
    trial = folder.trial(record.trial.trial_id)
    write_truths(trial.ground_truth, truth)
    trial.detections(variant).write_bytes(tables.write_detections(predictions, truth.images, truth.class_names))


def write_truths(path: Path, truth: StoredGroundTruth) -> None:
    """Write ground truth as a trial does."""
    path.write_bytes(tables.write_ground_truth(truth, {}))


def of_classes(record: Record, truth: StoredGroundTruth) -> Record:
    """Return the record as if its detector had these classes and images."""
    per_class = {name: ClassMetrics(map=record.metrics.map, mar_100=0.5) for name in truth.class_names}
    metrics = dataclasses.replace(record.metrics, per_class=per_class, images=len(truth.images))
    return dataclasses.replace(record, metrics=metrics)


def agreeing(record: Record, truth: StoredGroundTruth, predictions: StoredDetections) -> Record:
    """Return the record with the accuracy of these detections as a trial stores them."""
    return _with_metrics(of_classes(record, truth), _metrics(truth, predictions))


def _with_metrics(record: Record, metrics: dict[str, float]) -> Record:
    changed = dataclasses.replace(
        record.metrics, map=metrics["map"], map_50=metrics["map_50"], map_75=metrics["map_75"]
    )
    return dataclasses.replace(record, metrics=changed)


def _metrics(truth: StoredGroundTruth, predictions: StoredDetections) -> dict[str, float]:
    stored_truth = tables.read_ground_truth(bytes(tables.write_ground_truth(truth, {})), truth.class_names)
    stored = tables.read_detections(
        bytes(tables.write_detections(predictions, truth.images, truth.class_names)), stored_truth
    )
    values = analyse_detections(stored_truth, stored, min_score=0.05).values
    return dict(zip(("map", "map_50", "map_75"), values.tolist(), strict=True))


def make_detected(
    root: Path,
    truth: StoredGroundTruth,
    found: Sequence[tuple[Record, StoredDetections]],
    *,
    failed: tuple[tuple[Trial, Outcome], ...] = (),
    left: tuple[Trial, ...] = (),
) -> SuiteFolder:
    """Write a results folder whose records have the accuracy of their detections."""
    metrics = {id(predictions): _metrics(truth, predictions) for _, predictions in found}  # many rows can share them
    agreed = [
        (_with_metrics(of_classes(record, truth), metrics[id(predictions)]), predictions)
        for record, predictions in found
    ]
    folder = make_folder(root, [record for record, _ in agreed], failed=failed, left=left)
    for record, predictions in agreed:
        write(folder, record, truth, predictions)
    return folder


def _sorted(images: np.ndarray, classes: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> StoredDetections:
    order = np.lexsort((-scores, images))
    return StoredDetections(images=images[order], classes=classes[order], scores=scores[order], boxes=boxes[order])
