"""SSD's and SSDlite's heads train on what others do, and detect no background."""

from __future__ import annotations

import pytest
import torch

from harness.suite.catalog.torchvision import ARCHITECTURES
from harness.suite.schema import ImageSize
from harness.trial.models.torchvision import family
from harness.trial.models.torchvision.detector import TorchvisionDetector

BY_NAME = {row.name: row for row in ARCHITECTURES}
NAMES = [pytest.param("ssd300_vgg16", marks=pytest.mark.slow), "ssdlite320_mobilenet_v3_large"]
CLASSES = 2


def _detector(name: str) -> TorchvisionDetector:
    torch.manual_seed(0)
    side = BY_NAME[name].image_size[0]
    size = ImageSize(min=side, max=side)
    return family.build(BY_NAME[name], weights="none", classes=CLASSES, image_size=size, options={})[0]


def _target(labels: list[int]) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[8.0, 10.0, 60.0, 70.0]]).repeat(len(labels), 1)
    return {"boxes": boxes.reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("labels", [[[1, CLASSES], []], [[], []]])
def test_batches_with_images_without_boxes_train(name: str, labels: list[list[int]]) -> None:
    """One of two, or both: the losses are finite, and their gradients reach the image's first layer where any do."""
    detector = _detector(name)
    images = [torch.rand(3, 90, 120), torch.rand(3, 64, 64)]
    losses = detector.losses(images, [_target(one) for one in labels])
    total = torch.stack(list(losses.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(total)
    first = next(detector.module.parameters())
    assert first.grad is not None or not first.requires_grad


def test_ssd_trains_on_one_image() -> None:
    """It has no batch normalisation: only SSDlite needs two."""
    detector = _detector("ssd300_vgg16")
    losses = detector.losses([torch.rand(3, 80, 80)], [_target([CLASSES])])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert BY_NAME["ssd300_vgg16"].min_batch == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_detection_is_of_a_class(name: str) -> None:
    """At the threshold of accuracy an untrained network detects each of them, never the background, finite and inside.

    The boxes are in pixels of the image as given, though it was resized to a square.
    """
    detector = _detector(name)
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.001, detections=100)
    with torch.inference_mode():
        found = detector.detect([torch.rand(3, 60, 150)])[0]
    assert len(found["scores"]) == 100
    assert set(found["labels"].tolist()) <= {1, CLASSES}
    assert torch.isfinite(found["boxes"]).all()
    assert found["boxes"].min() >= 0
    assert found["boxes"][:, 2].max() <= 150
    assert found["boxes"][:, 3].max() <= 60
    assert found["boxes"][:, 2].max() > 100
