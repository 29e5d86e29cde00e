"""A detector's training scale and the stages of its backbone."""

from __future__ import annotations

import pytest
import torch

from harness.errors import TrialError
from harness.suite.catalog.torchvision import ARCHITECTURES
from harness.suite.schema import ImageSize
from harness.trial.models.torchvision import family

BY_NAME = {row.name: row for row in ARCHITECTURES}


def test_the_training_scale_is_for_training_images_alone() -> None:
    """Both sides of the resize follow it in `losses`; what is detected in keeps the image size."""
    torch.manual_seed(0)
    row = BY_NAME["fasterrcnn_mobilenet_v3_large_320_fpn"]
    detector, _ = family.build(row, weights="none", classes=2, image_size=ImageSize(min=64, max=96), options={})
    entered: list[torch.Size] = []
    detector.module.get_submodule("backbone").register_forward_pre_hook(
        lambda _module, inputs: entered.append(inputs[0].shape[-2:])
    )
    target = {"boxes": torch.tensor([[4.0, 4.0, 40.0, 50.0]]), "labels": torch.tensor([2])}
    images = [torch.rand(3, 128, 128), torch.rand(3, 64, 256)]
    for scale in (2.0, 1.5, 1.0):
        detector.set_training_scale(scale)
        detector.losses(images[:1], [target])
        detector.losses(images[1:], [target])
        with torch.inference_mode():
            detector.module.eval()
            detector.detect(images[:1])
            detector.module.train()
    sides = [tuple(shape) for shape in entered]
    assert sides == [(128, 128), (64, 192), (64, 64), (96, 96), (64, 160), (64, 64), (64, 64), (32, 96), (64, 64)]


def test_a_network_for_one_image_size_refuses_another_scale() -> None:
    """In a sentence that names it."""
    row = BY_NAME["ssdlite320_mobilenet_v3_large"]
    detector, _ = family.build(row, weights="none", classes=2, image_size=ImageSize(min=320, max=320), options={})
    with pytest.raises(TrialError, match=f"{row.name} takes images of one size"):
        detector.set_training_scale(0.5)
    assert len(detector.backbone_stages()) == 6
