"""The resize in numbers is the one that torchvision's detectors do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from harness.data.resize import lost, resized
from harness.suite.schema import ImageSize

_SIZES = np.array([(64, 48), (500, 333), (2000, 60), (7, 900), (640, 480), (33, 31), (1, 1), (96, 97)])


@pytest.mark.parametrize(
    "image_size", [ImageSize(min=32, max=64), ImageSize(min=48, max=50), ImageSize(min=80, max=133)]
)
def test_sizes_and_boxes_are_those_of_torchvision(image_size: ImageSize) -> None:
    """Sides are cut off, not rounded, and a box is scaled by what its image's sides became."""
    transform = GeneralizedRCNNTransform(image_size.min, image_size.max, [0.0] * 3, [1.0] * 3)
    for (width, height), expected in zip(_SIZES.tolist(), resized(_SIZES, image_size).tolist(), strict=True):
        box = torch.tensor([[0.0, 0.0, width, height]])
        if 0 in expected:
            with pytest.raises(RuntimeError, match="greater than 0"):
                transform.resize(torch.zeros(3, height, width), {"boxes": box})
            continue
        image, target = transform.resize(torch.zeros(3, height, width), {"boxes": box})
        assert [image.shape[2], image.shape[1]] == expected
        assert target is not None
        assert target["boxes"].flatten().tolist() == pytest.approx([0, 0, *expected])


def test_what_is_lost_is_named() -> None:
    """Images without a pixel, and boxes of the other images that are thinner than 0.01 pixels before or after."""
    sizes = np.array([(2000, 6), (640, 640), (64, 64)])
    boxes = np.array([(0, 0, 9, 5), (0, 0, 0.15, 9), (0, 0, 0.25, 9), (3, 3, 9, 3.02), (3, 3, 9, 3.005)])
    images, found = lost(sizes, boxes, np.array([0, 1, 1, 2, 2]), ImageSize(min=32, max=64))
    assert (images.tolist(), found.tolist()) == ([0], [1, 4])
    images, found = lost(sizes, boxes, np.array([0, 1, 1, 2, 2]), ImageSize(min=800, max=2000))
    assert (images.tolist(), found.tolist()) == ([], [4])
