"""The architectures, as data: one row each. What a row means in torch is `harness.trial.models`' business.

Recipes are those of torchvision's detection references (references/detection/README.md and the weights' own `recipe`
links): 26 epochs, SGD with momentum 0.9 and weight decay 1e-4, a tenth of the rate after epochs 16 and 22, a linear
warm-up from 1/1000 over the first 1,000 iterations, 8 GPUs with 2 images each. A learning rate belongs to its batch:
`harness.suite.expand` scales it linearly (Goyal et al. 2017, arXiv:1706.02677).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the published weights were trained; `lr` is for `batch_size` images a step."""

    lr: float
    batch_size: int = 16
    epochs: int = 26
    milestones: tuple[int, ...] = (16, 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One row of the catalogue.

    Attributes:
        name: torchvision's builder of that name.
        family: the file in `harness.trial.models` that knows its head.
        backbone_layers: the most that `trainable_backbone_layers` can be.
        stages: 1 or 2.
        weights: the best published weights, as `Enum.MEMBER` of torchvision.models.detection.
        weights_file: the file's name in torch hub's cache.
        backbone_weights: the ImageNet weights of the backbone, as `Enum.MEMBER` of torchvision.models.
        backbone_file: that file's name in the cache.
        frozen_prefixes: parameters that the builder freezes when it starts from pretrained weights.
        frozen_norm_eps: the eps of the frozen BatchNorms that the published weights were trained with.
        published_map: COCO val2017 mAP of the published weights.
        parameters: of the published weights; with another number of classes a few less or more.
        options: builder arguments that a suite may set under `model`.
    """

    name: str
    family: str
    backbone: str
    backbone_layers: int
    stages: int
    weights: str
    weights_file: str
    backbone_weights: str
    backbone_file: str
    frozen_prefixes: tuple[str, ...]
    frozen_norm_eps: float
    published_map: float
    parameters: int
    recipe: Recipe
    options: tuple[str, ...]


_RESNET_STEM = ("backbone.body.conv1.", "backbone.body.bn1.", "backbone.body.layer1.")
_TWO_STAGE_OPTIONS = (
    "rpn_pre_nms_top_n_train",
    "rpn_pre_nms_top_n_test",
    "rpn_post_nms_top_n_train",
    "rpn_post_nms_top_n_test",
    "rpn_batch_size_per_image",
    "box_batch_size_per_image",
    "trainable_backbone_layers",
)
_ONE_STAGE_OPTIONS = ("topk_candidates", "trainable_backbone_layers")

ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        name="fasterrcnn_resnet50_fpn",
        family="faster_rcnn",
        backbone="resnet50",
        backbone_layers=5,
        stages=2,
        weights="FasterRCNN_ResNet50_FPN_Weights.COCO_V1",
        weights_file="fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        backbone_file="resnet50-0676ba61.pth",
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.370,
        parameters=41_755_286,
        recipe=Recipe(lr=0.02),
        options=_TWO_STAGE_OPTIONS,
    ),
    Architecture(
        name="fasterrcnn_mobilenet_v3_large_fpn",
        family="faster_rcnn",
        backbone="mobilenet_v3_large",
        backbone_layers=6,
        stages=2,
        weights="FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1",
        weights_file="fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        backbone_weights="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
        backbone_file="mobilenet_v3_large-8738ca79.pth",
        # The blocks before the third strided stage from the end; torchvision trains 3 of 6 stages.
        frozen_prefixes=tuple(f"backbone.body.{block}." for block in range(7)),
        frozen_norm_eps=1e-5,
        published_map=0.328,
        parameters=19_386_354,
        recipe=Recipe(lr=0.02),
        options=_TWO_STAGE_OPTIONS,
    ),
    Architecture(
        name="retinanet_resnet50_fpn",
        family="retinanet",
        backbone="resnet50",
        backbone_layers=5,
        stages=1,
        weights="RetinaNet_ResNet50_FPN_Weights.COCO_V1",
        weights_file="retinanet_resnet50_fpn_coco-eeacb38b.pth",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        backbone_file="resnet50-0676ba61.pth",
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.364,
        parameters=34_014_999,
        recipe=Recipe(lr=0.01),
        options=_ONE_STAGE_OPTIONS,
    ),
)

BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}
