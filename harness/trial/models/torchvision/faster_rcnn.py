"""Faster R-CNN's class head. Every `num_classes` here counts the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator

CLASS_WEIGHT = "roi_heads.box_predictor.cls_score.weight"  # of the class head, in a state dict


def replace_head(model: FasterRCNN, num_classes: int) -> None:
    """A new box predictor: class scores and class-specific boxes."""
    in_features = model.roi_heads.box_predictor.cls_score.in_features
    model.roi_heads.box_predictor = FastRCNNPredictor(in_features, num_classes)


def anchors(model: FasterRCNN) -> AnchorGenerator:
    """The anchors of the proposals."""
    generator: AnchorGenerator = model.rpn.anchor_generator
    return generator


def set_anchors(model: FasterRCNN, generator: AnchorGenerator) -> None:
    """Propose from other anchors; with another number a location, the last layers of the proposals are new."""
    count = generator.num_anchors_per_location()[0]
    if count != anchors(model).num_anchors_per_location()[0]:
        tower = model.rpn.head.conv
        model.rpn.head = RPNHead(model.backbone.out_channels, count)
        model.rpn.head.conv = tower
    model.rpn.anchor_generator = generator


def prepare(model: FasterRCNN) -> None:
    """Do nothing: the softmax over the classes includes the background, which is never detected."""


def count_classes(state: Mapping[str, Tensor], model: FasterRCNN) -> int:  # noqa: ARG001 - RetinaNet's needs the model
    """The number of classes that the head in a state dict was made for."""
    return state[CLASS_WEIGHT].shape[0]


def set_postprocessing(model: FasterRCNN, *, score_threshold: float, detections: int) -> None:
    """Keep detections above `score_threshold`, at most `detections` an image."""
    model.roi_heads.score_thresh = score_threshold
    model.roi_heads.detections_per_img = detections


def postprocessor(model: FasterRCNN) -> nn.Module:
    """The module whose method `postprocess_detections` makes boxes of raw predictions."""
    module: nn.Module = model.roi_heads
    return module
