"""RoIAlign by rows is torchvision's, forward and backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from harness.trial.models.torchvision.roi_align import faster_pooling, roi_align

# The number of the image, then xyxy in an image of 96 x 64: in it, at its borders, far beyond them, of no size.
BOXES = [
    [0, 3.2, 4.7, 40.1, 30.9],
    [1, 0, 0, 96, 64],
    [1, -20, -30, 10, 200],
    [0, 90, 60, 130, 90],
    [0, 500, 500, 600, 600],
    [1, 8, 8, 8, 8],
    [0, 95.9, 63.9, 96, 64],
    [1, 30, 20, 29, 10],
]


def _inputs(rows: int = 16, columns: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, rows, columns, generator=generator, dtype=torch.float64, requires_grad=True)
    return features, torch.tensor(BOXES, dtype=torch.float64)


def _passes(function: Any, features: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    pooled = function(features, *arguments)
    weights = torch.linspace(-1, 1, pooled.numel(), dtype=pooled.dtype).reshape(pooled.shape)
    (gradient,) = torch.autograd.grad((pooled * weights).sum(), features)
    return pooled.detach(), gradient


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("shape", [(16, 24), (1, 1), (2, 24)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_torchvisions(
    *, aligned: bool, samples: int, shape: tuple[int, int], layout: torch.memory_format
) -> None:
    """To rounding in float64, for cells that are not square in number."""
    features, boxes = _inputs(*shape)
    how = (0.25, 7, 5, samples, aligned)
    theirs = _passes(torch.ops.torchvision.roi_align, features, boxes, *how)
    ours = _passes(roi_align, features.contiguous(memory_format=layout).detach().requires_grad_(), boxes, *how)
    for expected, found in zip(theirs, ours, strict=True):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_no_boxes_give_no_gradient() -> None:
    """A level of the pyramid may have none."""
    features, boxes = _inputs()
    pooled, gradient = _passes(roi_align, features, boxes[:0], 0.25, 7, 7, 2, False)
    assert pooled.shape == (0, 5, 7, 7)
    assert not gradient.any()


def test_what_is_no_number_counts_as_zero() -> None:
    """A training that diverges ends by its loss, not by an index out of range."""
    features, boxes = _inputs()
    boxes[0, 1], boxes[1, 4] = torch.nan, torch.inf
    pooled = roi_align(features, boxes, 0.25, 7, 7, 2, False)
    assert not pooled[0].any()
    assert pooled[2].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_module_keeps_its_type(dtype: torch.dtype) -> None:
    """Under autocast the features are bf16 and what is pooled too; torchvision computes in float32 between."""
    features, boxes = _inputs()
    module = torch.nn.Sequential(MultiScaleRoIAlign(["0", "1"], output_size=7, sampling_ratio=2), torch.nn.Linear(1, 1))
    levels = {"0": features.detach().to(dtype), "1": features.detach().to(dtype)[..., ::2, ::2]}
    each = [boxes[boxes[:, 0] == image, 1:].to(torch.float32) for image in (0, 1)]
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        expected = module[0](levels, each, [(64, 96)] * 2)
        ((part, faster),) = faster_pooling(module)
        part.__class__ = faster
        found = part(levels, each, [(64, 96)] * 2)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0.02 if dtype is torch.bfloat16 else 1e-5, atol=1e-5)


def test_a_number_of_points_that_depends_on_the_box_is_torchvisions() -> None:
    """`sampling_ratio` below 1: nothing stands for it."""
    module = torch.nn.Sequential(MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=-1), torch.nn.Linear(1, 1))
    assert list(faster_pooling(module)) == []
