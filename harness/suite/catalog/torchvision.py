"""torchvision's detectors, as data: one row each.

What a row means in torch is the business of `harness.trial.models.torchvision`.

Recipes are those of torchvision's detection references (references/detection/README.md and the weights' own `recipe`
links): 26 epochs, SGD with momentum 0.9 and weight decay 1e-4, a tenth of the rate after epochs 16 and 22, a linear
warm-up from 1/1000 over the first 1,000 iterations, 8 GPUs with 2 images each. A learning rate belongs to its batch:
`harness.suite.load` scales it linearly (Goyal et al. 2017, arXiv:1706.02677).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.suite.catalog.architecture import Architecture, Option, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAMILY = "harness.trial.models.torchvision.family"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchvisionArchitecture(Architecture):
    """A row with what torchvision's builders need; `name` is the name of the builder.

    Attributes:
        head: the file in `harness.trial.models.torchvision` that knows its class head.
        weights: the best published weights, as `Enum.MEMBER` of torchvision.models.detection.
        backbone_weights: the ImageNet weights of the backbone, as `Enum.MEMBER` of torchvision.models.
        frozen_prefixes: prefixes of the parameters that the builder freezes when it starts from pretrained weights.
        frozen_norm_eps: the eps of the frozen BatchNorms that the published weights were trained with.
        published_files: names of files in torch hub's cache.
    """

    head: str
    weights: str
    backbone_weights: str
    frozen_prefixes: tuple[str, ...]
    frozen_norm_eps: float
    published_files: Mapping[str, str] = field(default_factory=dict)


_RESNET_STEM = ("backbone.body.conv1.", "backbone.body.bn1.", "backbone.body.layer1.")
_TWO_STAGE_OPTIONS = (
    Option(name="rpn_pre_nms_top_n_train"),
    Option(name="rpn_pre_nms_top_n_test"),
    Option(name="rpn_post_nms_top_n_train"),
    Option(name="rpn_post_nms_top_n_test"),
    Option(name="rpn_batch_size_per_image"),
    Option(name="box_batch_size_per_image"),
)
_ONE_STAGE_OPTIONS = (Option(name="topk_candidates"),)
_NORMALISATION = (
    Option(name="image_mean", kind="channels"),
    Option(name="image_std", kind="channels", above_zero=True),
)
_FIVE_LEVELS = (Option(name="anchor_sizes", kind="levels", levels=5), Option(name="aspect_ratios", kind="numbers"))
_THREE_LEVELS = (Option(name="anchor_sizes", kind="levels", levels=3), Option(name="aspect_ratios", kind="numbers"))
_RESNET_LAYERS = Option(name="trainable_backbone_layers", maximum=5, pretrained_only=True)
_MOBILENET_LAYERS = Option(name="trainable_backbone_layers", maximum=6, pretrained_only=True)

ARCHITECTURES: tuple[TorchvisionArchitecture, ...] = (
    TorchvisionArchitecture(
        name="fasterrcnn_resnet50_fpn",
        family=_FAMILY,
        head="faster_rcnn",
        backbone="resnet50",
        stages=2,
        weights="FasterRCNN_ResNet50_FPN_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={
            "default": "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
            "backbone": "resnet50-0676ba61.pth",
        },
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.370,
        parameters=41_755_286,
        recipe=Recipe(lr=0.02),
        options=(*_TWO_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="fasterrcnn_mobilenet_v3_large_fpn",
        family=_FAMILY,
        head="faster_rcnn",
        backbone="mobilenet_v3_large",
        stages=2,
        weights="FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1",
        backbone_weights="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
        published_files={
            "default": "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
            "backbone": "mobilenet_v3_large-8738ca79.pth",
        },
        # The blocks before the third strided stage from the end; torchvision trains 3 of 6 stages.
        frozen_prefixes=tuple(f"backbone.body.{block}." for block in range(7)),
        frozen_norm_eps=1e-5,
        published_map=0.328,
        parameters=19_386_354,
        recipe=Recipe(lr=0.02),
        options=(*_TWO_STAGE_OPTIONS, _MOBILENET_LAYERS, *_THREE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="retinanet_resnet50_fpn",
        family=_FAMILY,
        head="retinanet",
        backbone="resnet50",
        stages=1,
        weights="RetinaNet_ResNet50_FPN_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={
            "default": "retinanet_resnet50_fpn_coco-eeacb38b.pth",
            "backbone": "resnet50-0676ba61.pth",
        },
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.364,
        parameters=34_014_999,
        recipe=Recipe(lr=0.01),
        options=(*_ONE_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
)
