"""SSD's class head: one layer for each feature map. Every `num_classes` here counts the background.

SSDlite's has the same shape with another block in the place of each layer; `ssdlite` says which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.models.detection.ssd import SSDClassificationHead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from torchvision.models.detection.ssd import SSD

CLASS_WEIGHT = "head.classification_head.module_list.0.weight"  # of the class head's first layer, in a state dict


def replace_head(model: SSD, num_classes: int) -> None:
    """New layers for the classes of each feature map; the boxes' layers stay."""
    channels = [layer.in_channels for layer in model.head.classification_head.module_list]
    counts = model.anchor_generator.num_anchors_per_location()
    model.head.classification_head = SSDClassificationHead(channels, counts, num_classes)


def prepare(model: SSD) -> None:
    """Do nothing: the softmax over the classes includes the background, which is never detected."""


def count_classes(state: Mapping[str, Tensor], model: SSD) -> int:
    """The number of classes that the head in a state dict was made for."""
    per_class: int = model.anchor_generator.num_anchors_per_location()[0]
    return state[CLASS_WEIGHT].shape[0] // per_class


def set_postprocessing(model: SSD, *, score_threshold: float, detections: int) -> None:
    """Keep detections above `score_threshold`, at most `detections` an image."""
    model.score_thresh = score_threshold
    model.detections_per_img = detections


def postprocessor(model: SSD) -> nn.Module:
    """The module whose method `postprocess_detections` makes boxes of raw predictions."""
    module: nn.Module = model
    return module
