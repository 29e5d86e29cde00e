"""RetinaNet's box head at matched cells gives the loss and the gradients of the head on whole maps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import retinanet

from harness.trial.models.torchvision import foreground_boxes
from harness.trial.models.torchvision.foreground_boxes import faster_boxes

CHANNELS, ANCHORS, SIZES = 6, 3, [(9, 13), (5, 7), (3, 4), (1, 1)]
TOTAL = ANCHORS * sum(height * width for height, width in SIZES)


def _head(**changes: Any) -> Any:
    torch.manual_seed(0)
    head = retinanet.RetinaNetRegressionHead(CHANNELS, ANCHORS, **changes).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def _passes(head: Any, matched: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of three images; and the gradients of the parameters and of each level's features."""
    generator = torch.Generator().manual_seed(1)
    levels = [
        torch.randn(3, CHANNELS, *size, generator=generator, dtype=torch.float64, requires_grad=True) for size in SIZES
    ]
    corners = torch.rand(3, TOTAL, 2, generator=generator, dtype=torch.float64) * 50
    anchors = list(torch.cat([corners, corners + 20], dim=2))
    targets = [{"boxes": torch.tensor([[3.0, 4.0, 30.0, 40.0], [10.0, 10.0, 20.0, 60.0]]).double()}] * 3
    loss = head.compute_loss(targets, {"bbox_regression": head(levels)}, anchors, list(matched))
    torch.autograd.backward(loss)
    inputs = {str(size): level for size, level in zip(SIZES, levels, strict=True)}
    gradients = {
        name: tensor.grad
        for name, tensor in (dict(head.named_parameters()) | inputs).items()
        if tensor.grad is not None
    }
    return loss.detach(), gradients


def _matched(*indices: tuple[int, int]) -> Tensor:
    """The number of the object that each anchor is matched with; -1: the background, -2: neither."""
    matched = torch.full((3, TOTAL), -1)
    matched[:, ::5] = -2
    for image, anchor in indices:
        matched[image, anchor] = anchor % 2
    return matched


@pytest.mark.parametrize(
    "matched",
    [
        _matched((0, 40), (0, 41), (1, TOTAL - 1), (2, 0)),
        _matched((0, ANCHORS * 12), (2, ANCHORS * (9 * 13) + 2), (2, ANCHORS * (9 * 13 + 5 * 7) - 1)),
        _matched(),
    ],
    ids=["inside, and the last and the first cell", "corners of maps", "no object"],
)
def test_loss_and_gradients_are_those_of_whole_maps(matched: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """To rounding in float64, and every parameter has a gradient."""
    head = _head()
    loss, gradients = _passes(head, matched)
    head.zero_grad()
    ((part, faster),) = faster_boxes(head)
    part.__class__ = faster
    monkeypatch.setattr(
        retinanet.RetinaNetRegressionHead, "forward", lambda *_: pytest.fail("whole maps were computed")
    )
    monkeypatch.setattr(foreground_boxes, "_MOST_CELLS", 1.0)
    again, found = _passes(head, matched)
    assert torch.allclose(loss, again, rtol=1e-12)
    assert found.keys() >= {name for name, _ in head.named_parameters()}
    for name in gradients | found:  # a level whose features have no effect may have no gradient, or one of zeros
        expected, gradient = (some.get(name, torch.zeros(())) for some in (gradients, found))
        assert torch.allclose(gradient, expected, rtol=1e-9, atol=1e-12), name


def test_many_objects_are_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where most cells are needed, whole maps take less time; so are half precision and heads with norms."""
    head = _head()
    ((part, faster),) = faster_boxes(head)
    part.__class__ = faster
    called = []
    whole = retinanet.RetinaNetRegressionHead.forward

    def note(self: Any, features: list[Tensor]) -> Tensor:
        called.append(True)
        boxes: Tensor = whole(self, features)
        return boxes

    monkeypatch.setattr(retinanet.RetinaNetRegressionHead, "forward", note)
    _passes(head, torch.zeros((3, TOTAL), dtype=torch.int64))
    assert called == [True]
    assert list(faster_boxes(_head(norm_layer=lambda channels: torch.nn.GroupNorm(2, channels)))) == []
