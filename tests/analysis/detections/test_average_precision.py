"""Average precision is pycocotools', on the images as they are and drawn ones; intervals hold what they say."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis.detections import average_precision
from harness.analysis.detections.analyse import analyse_detections
from harness.analysis.detections.matching import Matches, match, overlaps
from harness.analysis.significance import interval
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, drawn_detections, drawn_labels, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

BOX = (0.0, 0.0, 10.0, 10.0)


def _pycocotools(truth: StoredGroundTruth, found: StoredDetections, chosen: Sequence[int]) -> float:
    """COCO's mAP of these images, each as often as it occurs."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images: list[dict[str, object]] = []
    boxes: list[dict[str, object]] = []
    results: list[dict[str, object]] = []
    for number, image in enumerate(chosen, 1):
        images.append({"id": number, "width": 200, "height": 200})
        for row in range(truth.offsets[image], truth.offsets[image + 1]):
            x1, y1, x2, y2 = truth.boxes[row]
            boxes.append(
                {"id": len(boxes) + 1, "image_id": number, "category_id": int(truth.classes[row]) + 1,
                 "bbox": [x1, y1, x2 - x1, y2 - y1], "area": 100.0, "iscrowd": int(truth.crowds[row])}
            )  # fmt: skip
        for row in np.flatnonzero(found.images == image).tolist():
            x1, y1, x2, y2 = found.boxes[row]
            results.append(
                {"image_id": number, "category_id": int(found.classes[row]) + 1, "score": float(found.scores[row]),
                 "bbox": [x1, y1, x2 - x1, y2 - y1]}
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "info": {}, "images": images, "annotations": boxes,
            "categories": [{"id": number + 1, "name": name} for number, name in enumerate(truth.class_names)],
        }  # fmt: skip
        known.createIndex()
        evaluation = COCOeval(known, known.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def _precisions(truth: StoredGroundTruth, found: StoredDetections, weights: np.ndarray) -> np.ndarray:
    return average_precision.average_precisions(truth, found, match(truth, found, overlaps(truth, found)), weights)


@pytest.mark.parametrize("seed", range(8))
def test_drawn_images_score_as_pycocotools_has_them(seed: int) -> None:
    """On the set itself and on drawn ones, with crowds, empty images and classes that are missing in a draw."""
    rng = np.random.default_rng(seed)
    truth = drawn_labels(rng, images=15, classes=4, max_boxes=3)
    found = drawn_detections(rng, truth)
    weights = np.concatenate([average_precision.once(15), average_precision.drawn(15)[:6]])
    ours = average_precision.means(_precisions(truth, found, weights))
    theirs = [_pycocotools(truth, found, np.repeat(np.arange(15), counts).tolist()) for counts in weights]
    assert np.abs(ours - theirs).max() < 1e-6


def test_recalls_that_floats_miss_are_missed() -> None:
    """29 of 100 boxes is less than the recall 29 × 0.01 in floating point: pycocotools does not reach it, nor do we."""
    truth = labels(*([(0, BOX)] for _ in range(100)), classes=("disc",))
    rows = [(image, 0, 1 - image / 1000, BOX) for image in range(29)]
    found = detections(*rows, (29, 0, 0.5, (50, 50, 60, 60)), (30, 0, 0.4, BOX))
    ours = average_precision.means(_precisions(truth, found, average_precision.once(100)))[0]
    assert abs(ours - _pycocotools(truth, found, range(100))) < 1e-9


def test_known_sets_have_known_precision() -> None:
    """All found is 1, nothing found 0, a class without boxes is no number, half the boxes 51 of 101 recalls."""
    truth = labels([(0, BOX)], [(0, BOX)])
    both = detections((0, 0, 0.9, BOX), (1, 0, 0.8, BOX))
    assert np.all(_precisions(truth, both, average_precision.once(2))[:, 0] == 1)
    assert np.isnan(_precisions(truth, both, average_precision.once(2))[:, 1]).all()
    assert np.all(_precisions(truth, detections(), average_precision.once(2))[:, 0] == 0)
    one = _precisions(truth, detections((0, 0, 0.9, BOX)), average_precision.once(2))[:, 0, 0]
    assert one == pytest.approx(51 / 101)
    assert np.isnan(
        average_precision.means(_precisions(labels([], []), detections((0, 0, 1.0, BOX)), average_precision.once(2)))
    ).all()


def test_draws_are_the_same_for_the_same_number_of_images() -> None:
    """That is what pairs two detectors; each replicate draws as many images as there are."""
    first = average_precision.drawn(7)
    assert np.array_equal(first, average_precision.drawn(7))
    assert first.shape == (average_precision.REPLICATES, 7)
    assert (first.sum(axis=1) == 7).all()


def _world(
    rng: np.random.Generator, images: int, classes: int = 2
) -> tuple[StoredGroundTruth, StoredDetections, Matches]:
    """A detector on images drawn from an endless world: some images are hard, for true and false detections alike."""
    counts = rng.poisson(2.0, images)
    hard = rng.normal(0, 0.6, images)
    of = np.repeat(np.arange(images), counts)
    own = rng.integers(0, classes, len(of))
    quality = rng.normal(0.4, 1, len(of)) - hard[of]
    hit = quality > -0.6
    reached = np.clip(((quality[hit] + 0.6) / 2.2 * 10).astype(int) + 1, 1, 10)
    false = np.repeat(np.arange(images), rng.poisson(1.5 * np.exp(hard * 0.5)))
    where = np.concatenate([of[hit], false])
    kinds = np.concatenate([own[hit], rng.integers(0, classes, len(false))])
    logits = np.concatenate([quality[hit] + rng.normal(0, 0.7, hit.sum()), rng.normal(-1, 1, len(false))])
    bits = np.concatenate([(1 << reached) - 1, np.zeros(len(false), int)]).astype(np.uint16)
    order = np.lexsort((-logits, where))
    truth = StoredGroundTruth(
        class_names=tuple(f"class {number}" for number in range(classes)),
        images=tuple(map(str, range(images))),
        files=(None,) * images,
        offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        boxes=np.zeros((len(of), 4)),
        classes=own,
        crowds=np.zeros(len(of), dtype=np.bool_),
        areas=np.ones(len(of)),
    )
    found = StoredDetections(
        images=where[order], classes=kinds[order], scores=logits[order], boxes=np.zeros((len(where), 4))
    )
    nothing = np.zeros(len(where), dtype=np.uint16)
    return truth, found, Matches(true=bits[order], ignored=nothing, found=np.full(len(where), -1))


def test_of_500_simulated_sets_the_interval_holds_the_truth_in_95_percent() -> None:
    """Within two points: the truth is the mAP of 100,000 images of the same world."""
    truth, found, matches = _world(np.random.default_rng(1), 100_000)
    right = float(
        average_precision.means(
            average_precision.average_precisions(truth, found, matches, average_precision.once(100_000))
        )[0]
    )
    held, blank = 0, analyse_detections(labels([(0, BOX)]), detections(), deployed=0.05)
    for seed in range(500):
        truth, found, matches = _world(np.random.default_rng((7, seed)), 100)
        whole = average_precision.average_precisions(truth, found, matches, average_precision.once(100))
        again = average_precision.average_precisions(truth, found, matches, average_precision.drawn(100))
        value = float(average_precision.means(whole)[0])
        ends = interval([dataclasses.replace(blank, map=value, replicates=average_precision.means(again))])
        held += ends.low <= right <= ends.high
    assert 0.93 <= held / 500 <= 0.97
