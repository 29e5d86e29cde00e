"""Average precision equals pycocotools', on all images, without some of them, and on copied ones."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis.detections import average_precision
from harness.analysis.detections.analyse import analyse_detections
from harness.analysis.detections.matching import find_overlaps, match
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
def test_map_on_fewer_and_on_copied_images_equals_pycocotools(seed: int) -> None:
    """On the set itself, without an image, and on drawn ones, with crowds, empty images and classes that go missing."""
    rng = np.random.default_rng(seed)
    truth = drawn_labels(rng, images=15, classes=4, max_boxes=3)
    predictions = drawn_detections(rng, truth)
    drawn = rng.multinomial(15, np.full(15, 1 / 15), size=4).astype(np.int32)
    left_out = average_precision.leave_groups_out(15)[:4]
    weights = np.concatenate([average_precision.every_image_once(15), left_out, drawn])
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


def test_only_the_best_hundred_of_a_class_in_an_image_count() -> None:
    """As in pycocotools: of 169 boxes and detections of a class, 100 count; another class and image have their own."""
    side = [(20.0 * (number % 9), 10.0 * (number // 9)) for number in range(169)]
    boxes = [(x, y, x + 9, y + 9) for x, y in side]
    truth = labels([*((0, box) for box in boxes), (1, BOX)], [(0, BOX)])
    many = [(0, 0, 0.9 - number / 1000, box) for number, box in enumerate(boxes)]
    found = detections(*many, (0, 1, 0.1, BOX), (1, 0, 0.2, BOX))
    counted = average_precision.counted_by_coco(found)
    assert counted.sum() == 102
    analysis = analyse_detections(truth, found, min_score=0.05)
    assert analysis.map == pytest.approx(_pycocotools(truth, found, [0, 1]), abs=1e-9)
    assert analysis.map == pytest.approx((60 / 101 + 1) / 2)


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


def test_each_image_is_left_out_once() -> None:
    """In groups of one, or of several beyond 1,000 images; the same for equal numbers, so that detectors are paired."""
    few, many = average_precision.leave_groups_out(7), average_precision.leave_groups_out(2500)
    assert few.shape == (7, 7)
    assert many.shape == (average_precision.MAX_GROUPS, 2500)
    assert np.array_equal(many, average_precision.leave_groups_out(2500))
    for weights in (few, many):
        assert ((1 - weights).sum(axis=0) == 1).all()
    assert set((1 - many).sum(axis=1)) == {2, 3}
    assert average_precision.leave_groups_out(0).shape == (0, 0)


def test_the_precision_above_a_true_positive_is_that_of_the_detections_before_it() -> None:
    """(k - 1) / (r - 1) for the k-th true positive at rank r; of the first of all, that of the first two."""
    truth = labels(*[[(0, BOX)]] * 4, classes=("disc",))
    away = (50, 50, 60, 60)
    found = detections((0, 0, 0.9, BOX), (1, 0, 0.8, away), (2, 0, 0.7, BOX), (3, 0, 0.6, BOX))
    expected = average_precision.expected_precisions(truth, found, match(truth, found, find_overlaps(truth, found)))
    assert expected.shape == (10, 1, 1)
    assert expected[0, 0, 0] == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 4)
