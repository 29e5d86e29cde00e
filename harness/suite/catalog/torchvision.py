"""torchvision's detectors, as data: one row each.

What a row means in torch is the business of `harness.trial.models.torchvision`.

Recipes are those of torchvision's detection references (references/detection/README.md) and, for the newer weights, of
the pull requests that brought them; both are in the rows. Most are 26 epochs, SGD with momentum 0.9 and weight decay
1e-4, a tenth of the rate after epochs 16 and 22, a linear warm-up from 1/1000 over the first 1,000 iterations, 8 GPUs
with 2 images each. A learning rate belongs to its batch: `harness.suite.recipe` scales it.

SSDlite is two rows, for torchvision makes two networks under one name: with the whole tail of its backbone from
ImageNet weights, with half of its channels from COCO weights or none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.suite.catalog.architecture import Option, Recipe
from harness.suite.catalog.heads import HeadArchitecture

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAMILY = "harness.trial.models.torchvision.family"
_REFERENCES = "https://github.com/pytorch/vision/tree/main/references/detection"
_PULLS = "https://github.com/pytorch/vision/pull"
_TABLE = "https://docs.pytorch.org/vision/stable/models.html#object-detection"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchvisionArchitecture(HeadArchitecture):
    """A row with what torchvision's builders need; `name` is the name of the builder.

    Attributes:
        own_builder: whether that file builds it, for torchvision has no such builder.
        weights: the best published weights, as `Enum.MEMBER` of torchvision.models.detection; None: there are none.
        backbone_weights: the ImageNet weights of the backbone, as `Enum.MEMBER` of torchvision.models; None: the
            builder makes another network of them.
        frozen_prefixes: prefixes of the parameters that the builder freezes when it starts from pretrained weights.
        frozen_norm_eps: the eps of the frozen BatchNorms that the published weights were trained with; None: they were
            trained with live ones.
        published_files: names of files in torch hub's cache.
    """

    own_builder: bool = False
    weights: str | None
    backbone_weights: str | None
    frozen_prefixes: tuple[str, ...]
    frozen_norm_eps: float | None
    published_files: Mapping[str, str] = field(default_factory=dict)
    code_license: str = "BSD-3-Clause"
    weights_license: str = "BSD-3-Clause"


_RESNET_STEM = ("backbone.body.conv1.", "backbone.body.bn1.", "backbone.body.layer1.")
# The blocks before the third strided stage from the end; torchvision trains 3 of 6 stages.
_MOBILENET_STEM = tuple(f"backbone.body.{block}." for block in range(7))
_VGG_STEM = ("backbone.features.0.", "backbone.features.2.")  # torchvision trains 4 of 5 stages
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
_VGG_LAYERS = Option(name="trainable_backbone_layers", maximum=5, pretrained_only=True)
_MOBILENET_LAYERS = Option(name="trainable_backbone_layers", maximum=6, pretrained_only=True)
_RESNET_FILE = "resnet50-0676ba61.pth"
_MOBILENET_FILE = "mobilenet_v3_large-8738ca79.pth"

# 32 GPUs with 2 images each, batch normalisation over all of them.
_LONG = Recipe(lr=0.1, batch_size=64, epochs=400, milestones=(352, 384), weight_decay=4e-5, augmentation="lsj")
# 8 GPUs with 24 images each; the published recipe crops and flips as `ssd` does, with neither its changes of colour nor
# its zoom out.
_SSDLITE = Recipe(
    lr=0.15,
    batch_size=192,
    epochs=660,
    milestones=(),
    schedule="cosine",
    weight_decay=4e-5,
    augmentation="ssd",
    source=f"{_REFERENCES}#ssdlite320-mobilenetv3-large",
)

ARCHITECTURES: tuple[TorchvisionArchitecture, ...] = (
    TorchvisionArchitecture(
        name="fasterrcnn_resnet50_fpn",
        family=_FAMILY,
        head="faster_rcnn",
        backbone="resnet50",
        stages=2,
        weights="FasterRCNN_ResNet50_FPN_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={"default": "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", "backbone": _RESNET_FILE},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.370,
        published_source=_TABLE,
        parameters=41_755_286,
        gflops=134.38,
        recipe=Recipe(lr=0.02, source=f"{_REFERENCES}#faster-r-cnn-resnet-50-fpn"),
        options=(*_TWO_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="fasterrcnn_resnet50_fpn_v2",
        family=_FAMILY,
        head="faster_rcnn",
        backbone="resnet50",
        stages=2,
        weights="FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={"default": "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth", "backbone": _RESNET_FILE},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=None,
        published_map=0.467,
        published_source=_TABLE,
        parameters=43_712_278,
        gflops=280.371,
        recipe=replace(_LONG, source=f"{_PULLS}/5763"),
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
        published_files={"default": "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth", "backbone": _MOBILENET_FILE},
        frozen_prefixes=_MOBILENET_STEM,
        frozen_norm_eps=1e-5,
        published_map=0.328,
        published_source=_TABLE,
        parameters=19_386_354,
        gflops=4.494,
        recipe=Recipe(lr=0.02, source=f"{_REFERENCES}#faster-r-cnn-mobilenetv3-large-fpn"),
        options=(*_TWO_STAGE_OPTIONS, _MOBILENET_LAYERS, *_THREE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="fasterrcnn_mobilenet_v3_large_320_fpn",
        family=_FAMILY,
        head="faster_rcnn",
        backbone="mobilenet_v3_large",
        stages=2,
        weights="FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1",
        backbone_weights="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
        published_files={"default": "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth", "backbone": _MOBILENET_FILE},
        frozen_prefixes=_MOBILENET_STEM,
        frozen_norm_eps=1e-5,
        published_map=0.228,
        published_source=_TABLE,
        parameters=19_386_354,
        gflops=0.719,
        recipe=Recipe(lr=0.02, source=f"{_REFERENCES}#faster-r-cnn-mobilenetv3-large-320-fpn"),
        image_size=(320, 640),
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
        published_files={"default": "retinanet_resnet50_fpn_coco-eeacb38b.pth", "backbone": _RESNET_FILE},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.364,
        published_source=_TABLE,
        parameters=34_014_999,
        gflops=151.54,
        recipe=Recipe(lr=0.01, source=f"{_REFERENCES}#retinanet"),
        options=(*_ONE_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="retinanet_resnet50_fpn_v2",
        family=_FAMILY,
        head="retinanet",
        backbone="resnet50",
        stages=1,
        weights="RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V2",
        published_files={"default": "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", "backbone": "resnet50-11ad3fa6.pth"},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=None,
        published_map=0.415,
        published_source=_TABLE,
        parameters=38_198_935,
        gflops=152.238,
        recipe=Recipe(
            lr=1e-4,
            optimizer="adamw",
            weight_decay=0.05,
            norm_weight_decay=0.0,
            augmentation="multiscale",
            source=f"{_PULLS}/5756",
        ),
        options=(*_ONE_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="fcos_resnet50_fpn",
        family=_FAMILY,
        head="retinanet",
        backbone="resnet50",
        stages=1,
        weights="FCOS_ResNet50_FPN_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={"default": "fcos_resnet50_fpn_coco-99b0c9b7.pth", "backbone": _RESNET_FILE},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=1e-5,
        published_map=0.392,
        published_source=_TABLE,
        parameters=32_269_600,
        gflops=128.207,
        recipe=Recipe(lr=0.01, source=f"{_REFERENCES}#fcos-resnet-50-fpn"),
        options=(*_ONE_STAGE_OPTIONS, _RESNET_LAYERS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="ssd300_vgg16",
        family=_FAMILY,
        head="ssd",
        backbone="vgg16",
        stages=1,
        weights="SSD300_VGG16_Weights.COCO_V1",
        backbone_weights="VGG16_Weights.IMAGENET1K_FEATURES",
        published_files={
            "default": "ssd300_vgg16_coco-b556d3b4.pth",
            "backbone": "vgg16_features-amdegroot-88682ab5.pth",
        },
        frozen_prefixes=_VGG_STEM,
        frozen_norm_eps=None,
        published_map=0.251,
        published_source=_TABLE,
        parameters=35_641_826,
        gflops=34.858,
        image_size=(300, 300),
        resize="square",
        fixed_size=True,
        recipe=Recipe(
            lr=0.002,
            batch_size=32,
            epochs=120,
            milestones=(80, 110),
            weight_decay=5e-4,
            augmentation="ssd",
            source=f"{_REFERENCES}#ssd300-vgg16",
        ),
        options=(*_ONE_STAGE_OPTIONS, _VGG_LAYERS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="ssdlite320_mobilenet_v3_large",
        family=_FAMILY,
        head="ssdlite",
        backbone="mobilenet_v3_large",
        stages=1,
        weights="SSDLite320_MobileNet_V3_Large_Weights.COCO_V1",
        backbone_weights=None,
        published_files={"default": "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"},
        frozen_prefixes=(),
        frozen_norm_eps=None,
        published_map=0.213,
        published_source=_TABLE,
        parameters=3_440_060,
        gflops=0.583,
        image_size=(320, 320),
        resize="square",
        fixed_size=True,
        min_batch=2,
        recipe=_SSDLITE,
        options=(*_ONE_STAGE_OPTIONS, _MOBILENET_LAYERS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="ssdlite320_mobilenet_v3_large_full_tail",
        family=_FAMILY,
        head="ssdlite",
        own_builder=True,
        backbone="mobilenet_v3_large",
        stages=1,
        weights=None,
        backbone_weights="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
        published_files={"backbone": _MOBILENET_FILE},
        frozen_prefixes=(),
        frozen_norm_eps=None,
        parameters=5_198_540,
        image_size=(320, 320),
        resize="square",
        fixed_size=True,
        min_batch=2,
        recipe=_SSDLITE,
        options=(*_ONE_STAGE_OPTIONS, _MOBILENET_LAYERS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="maskrcnn_resnet50_fpn",
        family=_FAMILY,
        head="mask_rcnn",
        backbone="resnet50",
        stages=2,
        weights="MaskRCNN_ResNet50_FPN_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={"default": "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", "backbone": _RESNET_FILE},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=0.0,
        published_map=0.379,
        published_source=_TABLE,
        parameters=44_401_393,
        gflops=134.38,
        recipe=Recipe(lr=0.02, source=f"{_REFERENCES}#mask-r-cnn"),
        needs_masks=True,
        options=(*_TWO_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
    TorchvisionArchitecture(
        name="maskrcnn_resnet50_fpn_v2",
        family=_FAMILY,
        head="mask_rcnn",
        backbone="resnet50",
        stages=2,
        weights="MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
        backbone_weights="ResNet50_Weights.IMAGENET1K_V1",
        published_files={"default": "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", "backbone": _RESNET_FILE},
        frozen_prefixes=_RESNET_STEM,
        frozen_norm_eps=None,
        published_map=0.474,
        published_source=_TABLE,
        parameters=46_359_409,
        gflops=333.577,
        recipe=replace(_LONG, source=f"{_PULLS}/5773"),
        needs_masks=True,
        options=(*_TWO_STAGE_OPTIONS, _RESNET_LAYERS, *_FIVE_LEVELS, *_NORMALISATION),
    ),
)
