"""Doubles go within a class and stay between classes, and few enough candidates get there at any threshold."""

from __future__ import annotations

import torch

from harness.trial.models.yolo.letterbox import letterbox
from harness.trial.models.yolo.suppress import detections

PLACE = letterbox(torch.zeros(3, 64, 64), 64, "topleft")
BOXES = torch.tensor([[0.0, 0.0, 20.0, 20.0], [1.0, 0.0, 20.0, 20.0], [30.0, 30.0, 60.0, 60.0], [5.0, 5.0, 5.0, 9.0]])
SCORES = torch.tensor([[0.9, 0.8], [0.7, 0.6], [0.0005, 0.5], [0.9, 0.9]])


def test_a_location_is_of_its_best_class_or_of_each() -> None:
    """The second box doubles the first one; the last one has no area."""
    one = detections(BOXES, SCORES, PLACE, one_class=True, score_threshold=0.001, most=10)
    assert one["labels"].tolist() == [1, 2]
    each = detections(BOXES, SCORES, PLACE, one_class=False, score_threshold=0.001, most=10)
    assert each["labels"].tolist() == [1, 2, 2]
    assert torch.equal(each["scores"], torch.tensor([0.9, 0.8, 0.5]))
    assert torch.equal(each["boxes"], BOXES[[0, 0, 2]])


def test_the_threshold_and_the_number_hold() -> None:
    few = detections(BOXES, SCORES, PLACE, one_class=False, score_threshold=0.5, most=1)
    assert few["labels"].tolist() == [1]
    none = detections(BOXES, SCORES, PLACE, one_class=True, score_threshold=0.95, most=10)
    assert none["boxes"].shape == (0, 4)


def test_the_best_of_many_candidates_are_kept() -> None:
    """Of 20,000 locations that pass the threshold, the best of each place is found."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 4, (20_000, 2), generator=generator).float() * 16
    boxes = torch.cat((corners, corners + 16), 1)
    scores = torch.rand(20_000, 1, generator=generator) * 0.9 + 0.01
    found = detections(boxes, scores, PLACE, one_class=True, score_threshold=0.001, most=100)
    assert len(found["scores"]) == 16
    assert found["scores"][0] == scores.max()


def test_what_is_not_finite_is_not_detected() -> None:
    scores = torch.full((4, 2), torch.nan)
    found = detections(BOXES, scores, PLACE, one_class=True, score_threshold=0.001, most=10)
    assert not len(found["labels"])
