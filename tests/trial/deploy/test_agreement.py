"""Two runs agree when they find the same things, whatever their order."""

from __future__ import annotations

import pytest
import torch

from harness.trial.deploy.agreement import agreement
from harness.trial.evaluate.detect import Detections


def _found(*rows: tuple[float, float, int]) -> Detections:
    """Boxes of 10 pixels by (left edge, score, label)."""
    boxes = [[left, 0.0, left + 10, 10.0] for left, _, _ in rows]
    return Detections(
        boxes=torch.tensor(boxes).reshape(-1, 4),
        scores=torch.tensor([score for _, score, _ in rows]),
        labels=torch.tensor([label for _, _, label in rows], dtype=torch.int64),
    )


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        (_found((0, 0.9, 1), (50, 0.8, 2)), _found((50, 0.8, 2), (0, 0.9, 1)), 1.0),
        (_found((0, 0.9, 1)), _found((0.3, 0.905, 1)), 1.0),
        (_found((0, 0.9, 1)), _found((2, 0.9, 1)), 0.0),
        (_found((0, 0.9, 1)), _found((0, 0.9, 2)), 0.0),
        (_found((0, 0.9, 1)), _found((0, 0.85, 1)), 0.0),
        (_found((0, 0.9, 1), (50, 0.8, 2)), _found((0, 0.9, 1)), 0.5),
        (_found((0, 0.9, 1)), _found((0, 0.9, 1), (50, 0.8, 2)), 0.5),
        (_found(), _found(), 1.0),
        (_found(), _found((0, 0.9, 1)), 0.0),
    ],
)
def test_the_share_found_again(first: Detections, second: Detections, share: float) -> None:
    """Same class, IoU of 0.9 and scores within the tolerance; what only one of them finds counts against both."""
    assert agreement([first], [second], max_score_difference=0.01) == share


def test_only_the_best_of_an_image_must_be_found_again() -> None:
    """Which of many faint detections are among the first hundred depends on rounding."""
    best = [(60.0 * index, 0.9, 1) for index in range(20)]
    assert (
        agreement([_found(*best, (5000, 0.01, 1))], [_found(*best, (6000, 0.01, 1))], max_score_difference=0.01) == 1.0
    )


@pytest.mark.parametrize(("height", "share"), [(0.0, 1.0), (0.001, 1.0), (10.0, 0.0)])
def test_boxes_cut_to_a_line_are_the_same_where_their_corners_are(height: float, share: float) -> None:
    """They have no IoU: of equal detections with such boxes, all must be found again, but none at another place."""
    lines = Detections(
        boxes=torch.tensor([[5.0, 56.0, 90.0, 56.0], [40.0, 56.0, 40.0, 56.0]]),
        scores=torch.tensor([0.9, 0.8]),
        labels=torch.tensor([1, 2]),
    )
    others = Detections(boxes=lines.boxes + torch.tensor([0, 0, 0, height]), scores=lines.scores, labels=lines.labels)
    assert agreement([lines], [others], max_score_difference=0.01) == share
