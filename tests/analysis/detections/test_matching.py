"""Detections find boxes as COCO's matching has it."""

from __future__ import annotations

import numpy as np

from harness.analysis.detections.matching import match, overlaps
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, labels

BOX = (0.0, 0.0, 10.0, 10.0)
ALL = 0b11_1111_1111


def _matched(truth: StoredGroundTruth, found: StoredDetections) -> tuple[list[int], list[int], list[int]]:
    matches = match(truth, found, overlaps(truth, found))
    return matches.true.tolist(), matches.ignored.tolist(), matches.found.tolist()


def test_each_threshold_that_the_overlap_reaches_is_a_bit() -> None:
    """An IoU of exactly 0.5 is enough for the first; 0.8 for seven."""
    truth = labels([(0, BOX)], [(0, BOX)])
    found = detections((0, 0, 0.9, (0, 0, 10, 5)), (1, 0, 0.9, (0, 0, 10, 8)))
    assert _matched(truth, found)[0] == [0b1, 0b111_1111]


def test_the_better_score_takes_the_box_and_the_other_may_take_what_is_left() -> None:
    """By falling score, not by overlap; where the first does not reach a threshold, the second can."""
    truth = labels([(0, BOX)])
    found = detections((0, 0, 0.9, (0, 0, 10, 7)), (0, 0, 0.8, BOX))
    true, _, taken = _matched(truth, found)
    assert true == [0b1_1111, ALL & ~0b1_1111]
    assert taken == [0, -1]


def test_of_two_boxes_the_nearer_is_taken_and_of_equal_ones_the_later() -> None:
    """As pycocotools does."""
    near, far = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 13.0)
    assert _matched(labels([(0, far), (0, near)]), detections((0, 0, 0.9, near)))[2] == [1]
    assert _matched(labels([(0, near), (0, near)]), detections((0, 0, 0.9, near)))[2] == [1]


def test_another_class_and_another_image_are_never_found() -> None:
    """Whatever the overlap."""
    assert _matched(labels([(0, BOX)], []), detections((0, 1, 0.9, BOX), (1, 0, 0.9, BOX)))[0] == [0, 0]


def test_a_crowd_takes_any_number_and_counts_for_nothing() -> None:
    """By the share of the detection inside it, and only if no box is free."""
    truth = labels([(0, (0, 0, 100, 100)), (0, BOX)], crowds=[0])
    found = detections((0, 0, 0.9, BOX), (0, 0, 0.8, BOX), (0, 0, 0.7, (50, 50, 60, 60)))
    true, ignored, taken = _matched(truth, found)
    assert true == [ALL, 0, 0]
    assert ignored == [0, ALL, ALL]
    assert taken == [1, -1, -1]


def test_nothing_found_and_nothing_labelled_are_fine() -> None:
    """Empty on either side."""
    nothing = detections()
    assert _matched(labels([(0, BOX)]), nothing) == ([], [], [])
    assert _matched(labels([], []), detections((0, 0, 0.5, BOX)))[0] == [0]


def test_many_pairs_are_worked_on_in_parts(monkeypatch: object) -> None:
    """The same pairs come out, however few fit at once."""
    from harness.analysis.detections import matching as module

    rng = np.random.default_rng(0)
    truth = labels(*([(0, (x, x, x + 20, x + 20)) for x in range(5)] for _ in range(4)))
    found = detections(*((i, 0, float(rng.random()), (x, x, x + 20.0, x + 20.0)) for i in range(4) for x in range(6)))
    whole = overlaps(truth, found)
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 7)  # type: ignore[attr-defined]
    parts = overlaps(truth, found)
    assert len(whole.ious) > 50
    for name in ("detections", "boxes", "ious"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
