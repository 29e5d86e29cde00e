"""Mask R-CNN's class heads: Faster R-CNN's, and the one that draws a mask for each class.

The masks are trained, for they make the boxes better, and are no detections here: in evaluation mode the network stops
at its boxes. Every `num_classes` counts the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor

from harness.trial.models.torchvision import faster_rcnn
from harness.trial.models.torchvision.faster_rcnn import (
    CLASS_WEIGHT,
    anchors,
    count_classes,
    postprocessor,
    set_anchors,
    set_postprocessing,
)

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

__all__ = [
    "CLASS_WEIGHT",
    "anchors",
    "count_classes",
    "postprocessor",
    "prepare",
    "replace_head",
    "set_anchors",
    "set_postprocessing",
]


def replace_head(model: MaskRCNN, num_classes: int) -> None:
    """A new box predictor and a new mask predictor; the layers before each stay."""
    faster_rcnn.replace_head(model, num_classes)
    before = model.roi_heads.mask_predictor.conv5_mask
    model.roi_heads.mask_predictor = MaskRCNNPredictor(before.in_channels, before.out_channels, num_classes)


def prepare(model: MaskRCNN) -> None:
    """Draw masks in training alone: pasting a hundred into a large image would cost more than finding its boxes."""
    heads = model.roi_heads
    heads.has_mask = lambda: heads.training
