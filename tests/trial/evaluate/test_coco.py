"""Accuracy equals pycocotools', whatever the split looks like."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from harness.errors import TrialError
from harness.trial.evaluate.coco import accuracy, detections_capped
from harness.trial.evaluate.detect import Detections, GroundTruth

KEYS = (
    "map map_50 map_75 map_small map_medium map_large mar_1 mar_10 mar_100 mar_small mar_medium mar_large".split()  # noqa: SIM905
)


def random_split(seed: int, *, images: int = 25, classes: int = 4) -> tuple[list[GroundTruth], list[Detections]]:
    """Truths with crowds and empty images, and detections that are sometimes right, with ties among the scores."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for index in range(images):
        count = 0 if index % 5 == 0 else int(rng.integers(1, 12))
        corner = rng.uniform(0, 400, (count, 2))
        sides = np.exp(rng.uniform(np.log(4), np.log(300), (count, 2)))
        boxes = np.concatenate((corner, corner + sides), axis=1).astype(np.float32)
        labels = rng.integers(1, classes + 1, count)
        crowds = rng.random(count) < 0.15
        truths.append(
            GroundTruth(
                name=str(index),
                boxes=torch.from_numpy(boxes).reshape(-1, 4),
                labels=torch.from_numpy(labels),
                crowds=torch.from_numpy(crowds),
                areas=torch.from_numpy((sides.prod(axis=1) * rng.uniform(0.5, 1.0, count)).astype(np.float32)),
            )
        )
        copies = np.repeat(boxes, 3, axis=0) + rng.normal(0, 6, (3 * count, 4)).astype(np.float32)
        noise = rng.uniform(0, 300, (int(rng.integers(0, 120)), 4)).astype(np.float32)
        guessed = np.concatenate((copies, noise))
        guessed = np.concatenate(
            (np.minimum(guessed[:, :2], guessed[:, 2:]), np.maximum(guessed[:, :2], guessed[:, 2:])), 1
        )
        wrong = rng.integers(1, classes + 1, len(guessed))
        right = np.concatenate((np.repeat(labels, 3), wrong[3 * count :]))
        found.append(
            Detections(
                boxes=torch.from_numpy(guessed).reshape(-1, 4),
                scores=torch.from_numpy(np.round(rng.random(len(guessed)), 2).astype(np.float32)),
                labels=torch.from_numpy(np.where(rng.random(len(guessed)) < 0.8, right, wrong)),
            )
        )
    return truths, found


def reference(truths: list[GroundTruth], found: list[Detections], classes: int) -> tuple[list[float], dict[int, float]]:
    """The twelve numbers of pycocotools, and each class' AP from its precision table."""
    truth = COCO()
    guesses: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image, (t, d) in enumerate(zip(truths, found, strict=True), start=1):
        columns = (t.boxes.tolist(), t.labels.tolist(), t.crowds.tolist(), t.areas.tolist())
        for box, label, crowd, area in zip(*columns, strict=True):
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": label, "iscrowd": int(crowd),
                "area": area,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            })  # fmt: skip
        for box, label, score in zip(d.boxes.tolist(), d.labels.tolist(), d.scores.tolist(), strict=True):
            guesses.append({"image_id": image, "category_id": label, "score": score,
                            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]})  # fmt: skip
    truth.dataset = {
        "images": [{"id": image} for image in range(1, len(truths) + 1)],
        "annotations": annotations,
        "categories": [{"id": label} for label in range(1, classes + 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(guesses), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    per_class = {}
    for column in range(classes):
        precision = evaluation.eval["precision"][:, :, column, 0, -1]
        per_class[column + 1] = float(precision[precision > -1].mean()) if (precision > -1).any() else -1.0
    return list(evaluation.stats), per_class


@pytest.mark.parametrize("seed", range(6))
def test_equals_pycocotools(seed: int) -> None:
    """All twelve numbers and the AP of each class are pycocotools' within 1e-9, crowds and empty images included."""
    truths, found = random_split(seed)
    expected, expected_per_class = reference(truths, found, classes=4)
    names = ["a", "b", "c", "d"]
    metrics = accuracy(truths, found, class_names=names, split="val")
    for key, value in zip(KEYS, expected, strict=True):
        mine = getattr(metrics, key)
        assert (-1.0 if mine is None else mine) == pytest.approx(value, abs=1e-9), key
    for label, value in expected_per_class.items():
        mine = metrics.per_class[names[label - 1]].map
        assert (-1.0 if mine is None else mine) == pytest.approx(value, abs=1e-9), names[label - 1]


def test_perfect_detections_score_one() -> None:
    """Detections equal to the truth give 1.0: no annotation counts as unmatched because of its id."""
    truths, _ = random_split(1)
    kept = [replace(truth, crowds=torch.zeros(len(truth.labels), dtype=torch.bool)) for truth in truths]
    found = [Detections(boxes=t.boxes, scores=torch.ones(len(t.labels)), labels=t.labels) for t in kept]
    metrics = accuracy(kept, found, class_names=["a", "b", "c", "d"], split="val")
    assert metrics.map == pytest.approx(1.0)
    assert metrics.mar_100 == pytest.approx(1.0)


@pytest.mark.parametrize("label", [0, 3])
def test_a_label_of_no_class_is_refused(label: int) -> None:
    """Rather than counted for another class, or left out."""
    box = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    found = Detections(boxes=box, scores=torch.ones(1), labels=torch.tensor([label]))
    with pytest.raises(TrialError, match=f"detections have labels {label} to {label}, expected 1 to 2"):
        accuracy([], [found], class_names=["a", "b"], split="val")


def test_nothing_found_and_nothing_there() -> None:
    """No detections give 0; a split without boxes, or a class that never occurs, gives None, not 0 and not -1."""
    truths, _ = random_split(2)
    nothing = [Detections(boxes=torch.zeros((0, 4)), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.int64))]
    metrics = accuracy(truths, nothing * len(truths), class_names=["a", "b", "c", "d", "never"], split="val")
    assert metrics.map == 0.0
    assert metrics.per_class["never"].map is None
    empty = GroundTruth(name="0", boxes=torch.zeros((0, 4)), labels=torch.zeros(0, dtype=torch.int64),
                  crowds=torch.zeros(0, dtype=torch.bool), areas=torch.zeros(0))  # fmt: skip
    assert accuracy([empty], nothing, class_names=["a"], split="val").map is None


def _crowd(count: int) -> GroundTruth:
    """An image with so many objects of one class, side by side."""
    corner = torch.stack((torch.arange(count) % 20, torch.arange(count) // 20), dim=1) * 20.0
    return GroundTruth(
        name="0",
        boxes=torch.cat((corner, corner + 10), dim=1),
        labels=torch.ones(count, dtype=torch.int64),
        crowds=torch.zeros(count, dtype=torch.bool),
        areas=torch.full((count,), 100.0),
    )


def test_more_than_a_hundred_objects_have_a_second_number_and_a_warning() -> None:
    """A perfect detector of 169 objects: COCO's number is 0.594, as pycocotools says; at 300 detections it is 1."""
    truth = _crowd(169)
    found = [Detections(boxes=truth.boxes, scores=torch.linspace(1, 0.5, 169), labels=truth.labels)]
    metrics = accuracy([truth], found, class_names=["a"], split="val", detections=300)
    assert metrics.map == pytest.approx(reference([truth], found, classes=1)[0][0], abs=1e-6)
    assert metrics.map == pytest.approx(60 / 101)
    assert metrics.map_at_detections == pytest.approx(1.0)
    at_150 = accuracy([truth], found, class_names=["a"], split="val", detections=150)
    assert at_150.map_at_detections == pytest.approx(89 / 101)
    (warning,) = detections_capped([truth], detections=300)
    assert warning.name == "detections_capped"
    assert "69 of 169 objects count as missed" in warning.reason


def test_a_hundred_objects_have_neither() -> None:
    """Nor has a protocol that keeps 100: the number would be the same. Crowd regions are no objects."""
    few, many = _crowd(100), _crowd(169)
    found = [Detections(boxes=few.boxes, scores=torch.ones(100), labels=few.labels)]
    assert accuracy([few], found, class_names=["a"], split="val", detections=300).map_at_detections is None
    assert accuracy([many], found, class_names=["a"], split="val", detections=100).map_at_detections is None
    assert detections_capped([few], detections=100) == ()
    assert detections_capped([replace(many, crowds=torch.ones(169, dtype=torch.bool))], detections=100) == ()


def test_equals_torchmetrics() -> None:
    """All twelve numbers within 1e-6, with its thresholds in float64: its own float32 ones are off by 2e-4."""
    truths, found = random_split(3)
    theirs = MeanAveragePrecision(
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
        backend="faster_coco_eval",
    )
    theirs.warn_on_many_detections = False
    theirs.update(
        [{"boxes": d.boxes, "scores": d.scores, "labels": d.labels} for d in found],
        [{"boxes": t.boxes, "labels": t.labels, "iscrowd": t.crowds.to(torch.int64), "area": t.areas} for t in truths],
    )
    expected = theirs.compute()
    metrics = accuracy(truths, found, class_names=["a", "b", "c", "d"], split="val")
    for key in KEYS:
        mine = getattr(metrics, key)
        assert (-1.0 if mine is None else mine) == pytest.approx(float(expected[key]), abs=1e-6), key
