"""Mask R-CNN trains from masks, on any batch, and detects boxes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.errors import TrialError
from harness.suite.catalog.torchvision import ARCHITECTURES
from harness.suite.schema import ImageSize
from harness.trial.models.torchvision import family
from harness.trial.models.torchvision.detector import TorchvisionDetector

BY_NAME = {row.name: row for row in ARCHITECTURES}
SMALL = {"rpn_post_nms_top_n_train": 20, "rpn_post_nms_top_n_test": 10, "box_batch_size_per_image": 8}


@pytest.fixture(
    scope="module", params=["maskrcnn_resnet50_fpn", pytest.param("maskrcnn_resnet50_fpn_v2", marks=pytest.mark.slow)]
)
def detector(request: pytest.FixtureRequest) -> TorchvisionDetector:
    torch.manual_seed(0)
    size = ImageSize(min=64, max=96)
    return family.build(BY_NAME[request.param], weights="none", classes=2, image_size=size, options=SMALL)[0]


def _target(count: int) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[8.0, 10.0, 50.0, 60.0]]).repeat(count, 1).reshape(-1, 4)
    masks = torch.zeros(count, 64, 80, dtype=torch.uint8)
    masks[:, 10:60, 8:50] = 1
    return {"boxes": boxes, "labels": torch.full((count,), 2), "masks": masks}


@pytest.mark.parametrize("counts", [(1, 0), (0, 0), (2,)])
def test_any_batch_trains(counts: tuple[int, ...], detector: TorchvisionDetector) -> None:
    """With an image without objects, of such images alone, of a single one: a finite loss, of masks too."""
    detector.module.train()
    losses = detector.losses([torch.rand(3, 64, 80) for _ in counts], [_target(count) for count in counts])
    assert "loss_mask" in losses
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_the_masks_head_learns_and_says_nothing_of_boxes(detector: TorchvisionDetector) -> None:
    """Gradients reach its new last layer; in evaluation mode there are boxes, labels and scores, and no masks."""
    module: Any = detector.module.train()
    losses = detector.losses([torch.rand(3, 64, 80)], [_target(2)])
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert module.roi_heads.mask_predictor.mask_fcn_logits.weight.grad.abs().sum() > 0
    assert module.roi_heads.mask_predictor.mask_fcn_logits.out_channels == 3
    module.eval()
    module.zero_grad()
    detector.set_postprocessing(score_threshold=0.0, detections=10)
    with torch.inference_mode():
        (found,) = detector.detect([torch.rand(3, 64, 80)])
    assert set(found) == {"boxes", "labels", "scores"}
    assert len(found["boxes"]) > 0


def test_targets_without_masks_are_refused(detector: TorchvisionDetector) -> None:
    """In a sentence, not with a missing key within torchvision."""
    detector.module.train()
    target = {key: value for key, value in _target(1).items() if key != "masks"}
    with pytest.raises(TrialError, match="trains from masks: targets need `masks`"):
        detector.losses([torch.rand(3, 64, 80)], [target])
