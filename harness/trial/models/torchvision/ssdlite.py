"""SSDlite's class head, and SSDlite with the whole tail of its backbone.

torchvision's builder halves the channels of MobileNetV3's last blocks wherever it is given no ImageNet weights: from
COCO weights and from none it makes one network, from an ImageNet backbone a larger one. They are two architectures of
the catalogue here, and the larger one starts from no weights as well. Every `num_classes` counts the background.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import (
    SSDLiteClassificationHead,
    SSDLiteFeatureExtractorMobileNet,
    SSDLiteHead,
)

from harness.trial.models.torchvision.ssd import postprocessor, prepare, set_postprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["build", "count_classes", "postprocessor", "prepare", "replace_head", "set_postprocessing"]

CLASS_WEIGHT = "head.classification_head.module_list.0.1.weight"  # of the class head's first layer, in a state dict
_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
_SIDE = 320
# The settings of torchvision's ssdlite320_mobilenet_v3_large, whose images are normalised to -1 to 1.
_SETTINGS = {
    "score_thresh": 0.001,
    "nms_thresh": 0.55,
    "detections_per_img": 300,
    "topk_candidates": 300,
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
}


def replace_head(model: SSD, num_classes: int) -> None:
    """A new block for the classes of each feature map; the boxes' blocks stay."""
    channels = [block[0][0].in_channels for block in model.head.classification_head.module_list]
    counts = model.anchor_generator.num_anchors_per_location()
    model.head.classification_head = SSDLiteClassificationHead(channels, counts, num_classes, _NORM)


def count_classes(state: Mapping[str, Tensor], model: SSD) -> int:
    """The number of classes that the head in a state dict was made for."""
    per_class: int = model.anchor_generator.num_anchors_per_location()[0]
    return state[CLASS_WEIGHT].shape[0] // per_class


def build(
    *,
    weights: None,  # noqa: ARG001 - of torchvision's builders; nobody published any for this network
    weights_backbone: Any,
    num_classes: int,
    trainable_backbone_layers: int | None = None,
    **settings: Any,
) -> SSD:
    """SSDlite with the whole tail, as torchvision's builder makes it from `weights_backbone`.

    Args:
        weights: None.
        weights_backbone: a member of torchvision's MobileNet_V3_Large_Weights, or None: every layer starts at random,
            with the standard deviation of 0.03 that torchvision gives to SSDlite's.
        num_classes: with the background.
        trainable_backbone_layers: how many of the backbone's six stages train, the last ones; None: all.
        settings: arguments of torchvision's SSD.
    """
    network = mobilenet_v3_large(weights=weights_backbone, norm_layer=_NORM, reduced_tail=False)
    if weights_backbone is None:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.03)
    blocks = network.features
    starts = [0, *(row for row, block in enumerate(blocks) if getattr(block, "_is_cn", False)), len(blocks) - 1]
    kept = len(starts) if trainable_backbone_layers is None or weights_backbone is None else trainable_backbone_layers
    blocks[: starts[-kept] if kept else len(blocks)].requires_grad_(requires_grad=False)
    backbone = SSDLiteFeatureExtractorMobileNet(blocks, starts[-2], _NORM)
    generator = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    channels = _utils.retrieve_out_channels(backbone, (_SIDE, _SIDE))
    head = SSDLiteHead(channels, generator.num_anchors_per_location(), num_classes, _NORM)
    return SSD(backbone, generator, (_SIDE, _SIDE), num_classes, head=head, **(_SETTINGS | settings))
