"""Average precision equals pycocotools', on all images and on drawn ones; intervals cover what they promise."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis.detections import average_precision
from harness.analysis.detections.analyse import analyse_detections
from harness.analysis.detections.matching import Matches, find_overlaps, match
from harness.analysis.significance import map_interval
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, drawn_detections, drawn_labels, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

BOX = (0.0, 0.0, 10.0, 10.0)


def _pycocotools(truth: StoredGroundTruth, predictions: StoredDetections, drawn: Sequence[int]) -> float:
    """Return COCO's mAP on these images; an image counts as often as it occurs."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images: list[dict[str, object]] = []
    boxes: list[dict[str, object]] = []
    results: list[dict[str, object]] = []
    for number, image in enumerate(drawn, 1):
        images.append({"id": number, "width": 200, "height": 200})
        for row in range(truth.offsets[image], truth.offsets[image + 1]):
            x1, y1, x2, y2 = truth.boxes[row]
            boxes.append(
                {"id": len(boxes) + 1, "image_id": number, "category_id": int(truth.classes[row]) + 1,
                 "bbox": [x1, y1, x2 - x1, y2 - y1], "area": 100.0, "iscrowd": int(truth.crowds[row])}
            )  # fmt: skip
        for row in np.flatnonzero(predictions.images == image).tolist():
            x1, y1, x2, y2 = predictions.boxes[row]
            results.append(
                {"image_id": number, "category_id": int(predictions.classes[row]) + 1,
                 "score": float(predictions.scores[row]),
                 "bbox": [x1, y1, x2 - x1, y2 - y1]}
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {}, "images": images, "annotations": boxes,
            "categories": [{"id": number + 1, "name": name} for number, name in enumerate(truth.class_names)],
        }  # fmt: skip
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def _precisions(truth: StoredGroundTruth, predictions: StoredDetections, weights: np.ndarray) -> np.ndarray:
    return average_precision.average_precisions(
        truth, predictions, match(truth, predictions, find_overlaps(truth, predictions)), weights
    )


@pytest.mark.parametrize("seed", range(8))
def test_map_on_drawn_images_equals_pycocotools(seed: int) -> None:
    """On the set itself and on drawn ones, with crowds, empty images and classes that a draw lacks."""
    rng = np.random.default_rng(seed)
    truth = drawn_labels(rng, images=15, classes=4, max_boxes=3)
    predictions = drawn_detections(rng, truth)
    weights = np.concatenate([average_precision.every_image_once(15), average_precision.draw_images(15)[:6]])
    ours = average_precision.mean_average_precision(_precisions(truth, predictions, weights))
    theirs = [_pycocotools(truth, predictions, np.repeat(np.arange(15), counts).tolist()) for counts in weights]
    assert np.abs(ours - theirs).max() < 1e-6


def test_recalls_that_floats_miss_are_missed() -> None:
    """Recalls are compared as floats: where rounding keeps pycocotools from reaching one, it is not reached here."""
    truth = labels(*([(0, BOX)] for _ in range(100)), classes=("disc",))
    rows = [(image, 0, 1 - image / 1000, BOX) for image in range(29)]
    predictions = detections(*rows, (29, 0, 0.5, (50, 50, 60, 60)), (30, 0, 0.4, BOX))
    ours = average_precision.mean_average_precision(
        _precisions(truth, predictions, average_precision.every_image_once(100))
    )[0]
    assert abs(ours - _pycocotools(truth, predictions, range(100))) < 1e-9


def test_known_sets_have_known_precision() -> None:
    """All boxes found give 1, none give 0, a class without boxes gives NaN, half the boxes give 51 of 101 recalls."""
    truth = labels([(0, BOX)], [(0, BOX)])
    both = detections((0, 0, 0.9, BOX), (1, 0, 0.8, BOX))
    assert np.all(_precisions(truth, both, average_precision.every_image_once(2))[:, 0] == 1)
    assert np.isnan(_precisions(truth, both, average_precision.every_image_once(2))[:, 1]).all()
    assert np.all(_precisions(truth, detections(), average_precision.every_image_once(2))[:, 0] == 0)
    one = _precisions(truth, detections((0, 0, 0.9, BOX)), average_precision.every_image_once(2))[:, 0, 0]
    assert one == pytest.approx(51 / 101)
    assert np.isnan(
        average_precision.mean_average_precision(
            _precisions(labels([], []), detections((0, 0, 1.0, BOX)), average_precision.every_image_once(2))
        )
    ).all()


def test_draws_are_the_same_for_the_same_number_of_images() -> None:
    """Equal draws pair two detectors; each replicate draws as many images as there are."""
    first = average_precision.draw_images(7)
    assert np.array_equal(first, average_precision.draw_images(7))
    assert first.shape == (average_precision.REPLICATES, 7)
    assert (first.sum(axis=1) == 7).all()


def _world(
    rng: np.random.Generator, images: int, classes: int = 2
) -> tuple[StoredGroundTruth, StoredDetections, Matches]:
    """Simulate a detector on images of an endless world; hard images have fewer true and more false detections."""
    counts = rng.poisson(2.0, images)
    hardness = rng.normal(0, 0.6, images)
    image_of = np.repeat(np.arange(images), counts)
    box_classes = rng.integers(0, classes, len(image_of))
    quality = rng.normal(0.4, 1, len(image_of)) - hardness[image_of]
    detected = quality > -0.6
    n_thresholds = np.clip(((quality[detected] + 0.6) / 2.2 * 10).astype(int) + 1, 1, 10)
    images_of_false = np.repeat(np.arange(images), rng.poisson(1.5 * np.exp(hardness * 0.5)))
    images_of_detections = np.concatenate([image_of[detected], images_of_false])
    classes_of_detections = np.concatenate([box_classes[detected], rng.integers(0, classes, len(images_of_false))])
    logits = np.concatenate(
        [quality[detected] + rng.normal(0, 0.7, detected.sum()), rng.normal(-1, 1, len(images_of_false))]
    )
    bits = np.concatenate([(1 << n_thresholds) - 1, np.zeros(len(images_of_false), int)]).astype(np.uint16)
    order = np.lexsort((-logits, images_of_detections))
    truth = StoredGroundTruth(
        class_names=tuple(f"class {number}" for number in range(classes)),
        images=tuple(map(str, range(images))),
        files=(None,) * images,
        offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        boxes=np.zeros((len(image_of), 4)),
        classes=box_classes,
        crowds=np.zeros(len(image_of), dtype=np.bool_),
        areas=np.ones(len(image_of)),
    )
    predictions = StoredDetections(
        images=images_of_detections[order],
        classes=classes_of_detections[order],
        scores=logits[order],
        boxes=np.zeros((len(images_of_detections), 4)),
    )
    nothing = np.zeros(len(images_of_detections), dtype=np.uint16)
    return truth, predictions, Matches(true=bits[order], ignored=nothing, boxes=np.full(len(images_of_detections), -1))


def test_of_500_simulated_sets_the_interval_holds_the_truth_in_95_percent() -> None:
    """Within two points; the true mAP is that of 100,000 images of the same world."""
    truth, predictions, matches = _world(np.random.default_rng(1), 100_000)
    true_map = float(
        average_precision.mean_average_precision(
            average_precision.average_precisions(
                truth, predictions, matches, average_precision.every_image_once(100_000)
            )
        )[0]
    )
    covered, blank = 0, analyse_detections(labels([(0, BOX)]), detections(), min_score=0.05)
    for seed in range(500):
        truth, predictions, matches = _world(np.random.default_rng((7, seed)), 100)
        precisions = average_precision.average_precisions(
            truth, predictions, matches, average_precision.every_image_once(100)
        )
        drawn_precisions = average_precision.average_precisions(
            truth, predictions, matches, average_precision.draw_images(100)
        )
        value = float(average_precision.mean_average_precision(precisions)[0])
        interval = map_interval(
            [
                dataclasses.replace(
                    blank, map=value, replicates=average_precision.mean_average_precision(drawn_precisions)
                )
            ]
        )
        covered += interval.low <= true_map <= interval.high
    assert 0.93 <= covered / 500 <= 0.97
