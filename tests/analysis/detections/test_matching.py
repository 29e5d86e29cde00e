"""Detections match boxes as in COCO's evaluation."""

from __future__ import annotations

import numpy as np

from harness.analysis.detections.matching import find_overlaps, match
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, labels

BOX = (0.0, 0.0, 10.0, 10.0)
ALL = 0b11_1111_1111


def _match(truth: StoredGroundTruth, predictions: StoredDetections) -> tuple[list[int], list[int], list[int]]:
    matches = match(truth, predictions, find_overlaps(truth, predictions))
    return matches.true.tolist(), matches.ignored.tolist(), matches.boxes.tolist()


def test_each_threshold_that_the_overlap_reaches_is_a_bit() -> None:
    """An IoU of exactly 0.5 reaches the first threshold, 0.8 reaches seven."""
    truth = labels([(0, BOX)], [(0, BOX)])
    predictions = detections((0, 0, 0.9, (0, 0, 10, 5)), (1, 0, 0.9, (0, 0, 10, 8)))
    assert _match(truth, predictions)[0] == [0b1, 0b111_1111]


def test_the_better_score_takes_the_box_at_the_thresholds_that_it_reaches() -> None:
    """The score decides, not the overlap; at thresholds that the first does not reach, the second takes the box."""
    truth = labels([(0, BOX)])
    predictions = detections((0, 0, 0.9, (0, 0, 10, 7)), (0, 0, 0.8, BOX))
    true, _, boxes = _match(truth, predictions)
    assert true == [0b1_1111, ALL & ~0b1_1111]
    assert boxes == [0, -1]


def test_of_two_boxes_the_nearer_is_matched_and_of_equal_ones_the_later() -> None:
    """This is the order of pycocotools."""
    near, far = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 13.0)
    assert _match(labels([(0, far), (0, near)]), detections((0, 0, 0.9, near)))[2] == [1]
    assert _match(labels([(0, near), (0, near)]), detections((0, 0, 0.9, near)))[2] == [1]


def test_boxes_of_another_class_or_image_never_match() -> None:
    """Not even if they overlap completely."""
    assert _match(labels([(0, BOX)], []), detections((0, 1, 0.9, BOX), (1, 0, 0.9, BOX)))[0] == [0, 0]


def test_detections_in_a_crowd_region_are_ignored() -> None:
    """The fraction of the detection inside it decides, and only if no box is free."""
    truth = labels([(0, (0, 0, 100, 100)), (0, BOX)], crowds=[0])
    predictions = detections((0, 0, 0.9, BOX), (0, 0, 0.8, BOX), (0, 0, 0.7, (50, 50, 60, 60)))
    true, ignored, boxes = _match(truth, predictions)
    assert true == [ALL, 0, 0]
    assert ignored == [0, ALL, ALL]
    assert boxes == [1, -1, -1]


def test_no_detections_and_no_labels_give_no_matches() -> None:
    """Either side may be empty."""
    nothing = detections()
    assert _match(labels([(0, BOX)]), nothing) == ([], [], [])
    assert _match(labels([], []), detections((0, 0, 0.5, BOX)))[0] == [0]


def test_overlaps_are_found_in_chunks(monkeypatch: object) -> None:
    """The pairs are the same, however few of them fit into a chunk."""
    from harness.analysis.detections import matching as module

    rng = np.random.default_rng(0)
    truth = labels(*([(0, (x, x, x + 20, x + 20)) for x in range(5)] for _ in range(4)))
    predictions = detections(
        *((i, 0, float(rng.random()), (x, x, x + 20.0, x + 20.0)) for i in range(4) for x in range(6))
    )
    at_once = find_overlaps(truth, predictions)
    monkeypatch.setattr(module, "_MAX_PAIRS", 7)  # type: ignore[attr-defined]
    in_chunks = find_overlaps(truth, predictions)
    assert len(at_once.ious) > 50
    for name in ("detections", "boxes", "ious"):
        assert np.array_equal(getattr(at_once, name), getattr(in_chunks, name))
