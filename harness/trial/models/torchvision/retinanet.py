"""The class head of RetinaNet and of FCOS, which is alike. Every `num_classes` here counts the background."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.anchor_utils import AnchorGenerator

CLASS_WEIGHT = "head.classification_head.cls_logits.weight"  # of the class head, in a state dict
_PRIOR_PROBABILITY = 0.01  # Lin et al. 2017, arXiv:1708.02002, section 4.1


def replace_head(model: RetinaNet, num_classes: int) -> None:
    """A new last layer for the classes; the pretrained tower before it stays.

    Weights N(0, 0.01) and bias -log((1 - p) / p) = -log(99), as torchvision's own head starts: without that bias the
    loss of the first steps, summed over all background anchors, drowns everything learnt before.
    """
    head = model.head.classification_head
    layer = nn.Conv2d(head.cls_logits.in_channels, head.num_anchors * num_classes, kernel_size=3, padding=1)
    bias = torch.full((layer.out_channels,), -math.log((1 - _PRIOR_PROBABILITY) / _PRIOR_PROBABILITY))
    layer.bias = nn.Parameter(bias)
    nn.init.normal_(layer.weight, std=0.01)
    head.cls_logits = layer
    head.num_classes = num_classes


def anchors(model: RetinaNet) -> AnchorGenerator:
    """The anchors."""
    generator: AnchorGenerator = model.anchor_generator
    return generator


def set_anchors(model: RetinaNet, generator: AnchorGenerator) -> None:
    """Detect from other anchors; with another number a location, the last layers are new, the towers before stay."""
    count = generator.num_anchors_per_location()[0]
    classes, boxes = model.head.classification_head, model.head.regression_head
    if count != classes.num_anchors:
        classes.num_anchors = count
        replace_head(model, classes.num_classes)
        layer = nn.Conv2d(boxes.bbox_reg.in_channels, count * 4, kernel_size=3, padding=1)
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(cast("Tensor", layer.bias))
        boxes.bbox_reg = layer
    model.anchor_generator = generator


def prepare(model: RetinaNet) -> None:
    """Let no detection be the background.

    torchvision's RetinaNet and FCOS give label 0 a sigmoid of its own, which no box ever trains. Until training has
    pushed it down, it passes low score thresholds, takes places among an image's detections, and is the name of no
    class.
    """
    model.head.classification_head.register_forward_hook(_silence_background)


def _silence_background(head: nn.Module, _inputs: object, logits: Tensor) -> Tensor:
    """`logits`: [N, anchors, classes], freshly concatenated by the head."""
    if not head.training:
        logits[..., 0] = -math.inf
    return logits


def count_classes(state: Mapping[str, Tensor], model: RetinaNet) -> int:
    """The number of classes that the head in a state dict was made for."""
    per_class: int = model.head.classification_head.num_anchors
    return state[CLASS_WEIGHT].shape[0] // per_class


def set_postprocessing(model: RetinaNet, *, score_threshold: float, detections: int) -> None:
    """Keep detections above `score_threshold`, at most `detections` an image."""
    model.score_thresh = score_threshold
    model.detections_per_img = detections


def postprocessor(model: RetinaNet) -> nn.Module:
    """The module whose method `postprocess_detections` makes boxes of raw predictions."""
    module: nn.Module = model
    return module
