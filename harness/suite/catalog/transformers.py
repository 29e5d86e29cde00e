"""The DETR family as transformers builds it, as data: one row each.

What a row means in torch is the business of `harness.trial.models.transformers`; the configuration of each network is
in `harness.suite.catalog.transformers_configs`.

Left out, because their weights or backbones are not under a permissive licence: DEIMv2 S to X (DINOv3 backbones or
backbones distilled from DINOv3, under the DINOv3 licence) and RF-DETR XL and 2XL (Platform Model License).

Recipes are those of the authors' own configuration files. Where a recipe has more than one rate for the backbone (a
decay from layer to layer), one factor near their mean stands for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.suite.catalog import transformers_configs as configs
from harness.suite.catalog.architecture import Architecture, HubFile, Option, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAMILY = "harness.trial.models.transformers.family"
_APACHE = "Apache-2.0"
_COCO_80, _COCO_91 = 80, 91  # the classes of COCO, and its largest id with a place for 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersArchitecture(Architecture):
    """A row with what transformers needs.

    Attributes:
        model_type: the name of its configuration in transformers.
        config: what differs from that configuration's defaults.
        published_classes: the number of classes of the published weights, to which `parameters` belongs.
        pixel_mean: subtracted from red, green and blue, which are from 0 to 1.
        pixel_std: what the difference is divided by.
    """

    model_type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    published_classes: int = _COCO_80
    pixel_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pixel_std: tuple[float, float, float] = (1.0, 1.0, 1.0)


_IMAGENET: dict[str, Any] = {"pixel_mean": (0.485, 0.456, 0.406), "pixel_std": (0.229, 0.224, 0.225)}
_COMMON: dict[str, Any] = {
    "family": _FAMILY,
    "extra": "transformers",
    "packages": ("transformers", "scipy", "safetensors"),
    "code_license": _APACHE,
    "fp16": False,
    "min_batch": 1,
}
_ADAMW = Recipe(
    lr=1e-4,
    optimizer="adamw",
    milestones=(),
    weight_decay=1e-4,
    norm_weight_decay=0.0,
    schedule="constant",
    warmup_steps=2000,
    clip_grad_norm=0.1,
    augmentation="ssd",
)

_RTDETR_PAGE = "https://github.com/lyuwenyu/RT-DETR/tree/main/rtdetrv2_pytorch"


def _rtdetr(depth: int, *, published_map: float, parameters: int, gflops: float, **recipe: Any) -> Any:
    """RT-DETRv2 with a ResNet-vd; its weights are published by its authors."""
    name = f"rtdetr_v2_r{depth}vd"
    return TransformersArchitecture(
        **_COMMON,
        name=name,
        backbone=f"resnet{depth}vd",
        stages=1,
        queries=300,
        image_size=(640, 640),
        resize="square",
        size_multiple=32,
        published_map=published_map,
        published_source=_RTDETR_PAGE,
        published_files={"default": HubFile(repo=f"PekingU/{name}", revision="main")},
        weights_license=_APACHE,
        parameters=parameters,
        gflops=gflops,
        recipe=replace(_ADAMW, source=f"{_RTDETR_PAGE}/configs/rtdetrv2", ema=0.9999, **recipe),
        model_type="rt_detr_v2",
        config=configs.rtdetr_v2(depth),
        options=(Option(name="backbone", kind="name"),),
    )


_DFINE_PAGE = "https://github.com/Peterande/D-FINE"


def _dfine(size: str, word: str, *, published_map: float, parameters: int, gflops: float, **recipe: Any) -> Any:
    """D-FINE; of the published weights those that saw COCO alone."""
    return TransformersArchitecture(
        **_COMMON,
        name=f"dfine_{size}",
        backbone=f"hgnetv2_{configs.DFINE_BACKBONES[size]}",
        stages=1,
        queries=300,
        image_size=(640, 640),
        resize="square",
        size_multiple=32,
        published_map=published_map,
        published_source=_DFINE_PAGE,
        published_files={"default": HubFile(repo=f"ustc-community/dfine-{word}-coco", revision="main")},
        weights_license=_APACHE,
        parameters=parameters,
        gflops=gflops,
        recipe=replace(
            _ADAMW, source=f"{_DFINE_PAGE}/tree/master/configs/dfine", warmup_steps=500, ema=0.9999, **recipe
        ),
        model_type="d_fine",
        config=configs.dfine(size),
        options=(Option(name="backbone", kind="name"),) if size in {"s", "m", "l", "x"} else (),
    )


_DEIM_PAGE = "https://github.com/Intellindust-AI-Lab/DEIMv2"


def _deimv2(size: str, side: int, *, published_map: float, parameters: int, gflops: float, **recipe: Any) -> Any:
    """DEIMv2 with an HGNetv2; of these, N alone is published in the format of transformers.

    The authors' rate is constant for the first half and falls along a cosine to a part of it: here it is a cosine.
    """
    files = {
        "n": {
            "default": HubFile(
                repo="harshaljanjani/DEIMv2_HGNetv2_N_COCO_Transformers",
                revision="b23bfb92684c98e1adf60939fdef28e409991f68",
            )
        }
    }
    return TransformersArchitecture(
        **_COMMON,
        name=f"deimv2_{size}",
        backbone=f"hgnetv2_{'b0' if size == 'n' else size}",
        stages=1,
        queries=configs.deimv2(size).get("num_queries", 300),
        image_size=(side, side),
        resize="square",
        size_multiple=32,
        published_map=published_map,
        published_source=_DEIM_PAGE,
        published_files=files.get(size, {}),
        weights_license=_APACHE,
        parameters=parameters,
        gflops=gflops,
        recipe=replace(
            _ADAMW, source=f"{_DEIM_PAGE}/tree/main/configs/deimv2", schedule="cosine", ema=0.9999, **recipe
        ),
        model_type="deimv2",
        config=configs.deimv2(size),
    )


_RFDETR_PAGE = "https://github.com/roboflow/rf-detr"


def _rfdetr(size: str, side: int, *, published_map: float, parameters: int) -> Any:
    """RF-DETR with a DINOv2 (Apache-2.0) backbone in windows."""
    return TransformersArchitecture(
        **_COMMON,
        **_IMAGENET,
        name=f"rfdetr_{size}",
        backbone="dinov2_windowed_small",
        stages=1,
        queries=300,
        image_size=(side, side),
        resize="square",
        size_multiple=32,
        published_map=published_map,
        published_source=_RFDETR_PAGE,
        published_files={"default": HubFile(repo=f"Roboflow/rf-detr-{size}", revision="main")},
        weights_license=_APACHE,
        parameters=parameters,
        recipe=replace(
            _ADAMW,
            source=f"{_RFDETR_PAGE}/blob/develop/rfdetr/config.py",
            epochs=100,
            warmup_steps=0,
            backbone_lr_factor=0.3,
            ema=0.993,
            augmentation="multiscale",
        ),
        model_type="rf_detr",
        config=configs.rf_detr(size, side),
        published_classes=_COCO_91,
    )


_LWDETR_PAGE = "https://github.com/Atten4Vis/LW-DETR"


def _lwdetr(size: str, *, published_map: float, parameters: int, gflops: float, **recipe: Any) -> Any:
    """LW-DETR with a plain ViT in windows, pretrained on Objects365."""
    return TransformersArchitecture(
        **_COMMON,
        **_IMAGENET,
        name=f"lw_detr_{size}",
        backbone=f"vit_{configs.LWDETR_BACKBONES[size]}",
        stages=1,
        queries=configs.lw_detr(size)["num_queries"],
        image_size=(640, 640),
        resize="square",
        size_multiple=64,
        published_map=published_map,
        published_source=_LWDETR_PAGE,
        published_files={"default": HubFile(repo=f"AnnaZhang/lwdetr_{size}_60e_coco", revision="main")},
        weights_license=_APACHE,
        parameters=parameters,
        gflops=gflops,
        recipe=replace(
            _ADAMW,
            source=f"{_LWDETR_PAGE}/tree/main/scripts",
            epochs=60,
            warmup_steps=0,
            ema=0.9997,
            augmentation="multiscale",
            **recipe,
        ),
        model_type="lw_detr",
        config=configs.lw_detr(size),
        published_classes=_COCO_91,
    )


_DETR_PAGE = "https://github.com/facebookresearch/detr"
_YOLOS_PAGE = "https://github.com/hustvl/YOLOS"

_OLDER: tuple[TransformersArchitecture, ...] = (
    TransformersArchitecture(
        **_COMMON,
        **_IMAGENET,
        name="detr_resnet_50",
        backbone="resnet50",
        stages=1,
        queries=100,
        image_size=(800, 1333),
        resize="shorter_side",
        published_map=0.420,
        published_source=_DETR_PAGE,
        published_files={"default": HubFile(repo="facebook/detr-resnet-50", revision="main")},
        weights_license=_APACHE,
        parameters=41_524_768,
        gflops=86.0,
        recipe=replace(
            _ADAMW,
            source=f"{_DETR_PAGE}/blob/main/README.md",
            batch_size=64,
            epochs=500,
            milestones=(400,),
            schedule="multistep",
            norm_weight_decay=None,
            warmup_steps=0,
            backbone_lr_factor=0.1,
            augmentation="multiscale",
        ),
        model_type="detr",
        config=configs.DETR_RESNET_50,
        published_classes=_COCO_91,
        options=(Option(name="backbone", kind="name"),),
    ),
    TransformersArchitecture(
        **{**_COMMON, "code_license": "MIT (the authors'), Apache-2.0 (transformers')"},
        **_IMAGENET,
        name="yolos_tiny",
        backbone="deit_tiny",
        stages=1,
        queries=100,
        image_size=(512, 1333),
        resize="shorter_side",
        published_map=0.287,
        published_source=_YOLOS_PAGE,
        published_files={"default": HubFile(repo="hustvl/yolos-tiny", revision="main")},
        weights_license=_APACHE,
        parameters=6_488_736,
        recipe=replace(
            _ADAMW,
            source=f"{_YOLOS_PAGE}/blob/main/README.md",
            lr=5e-5,
            epochs=300,
            schedule="cosine",
            norm_weight_decay=None,
            warmup_steps=0,
            augmentation="multiscale",
        ),
        model_type="yolos",
        config=configs.YOLOS_TINY,
        published_classes=_COCO_91,
    ),
)

ARCHITECTURES: tuple[TransformersArchitecture, ...] = (
    _rtdetr(18, published_map=0.481, parameters=20_174_608, gflops=60, epochs=120),
    _rtdetr(34, published_map=0.499, parameters=31_424_388, gflops=92, epochs=120, backbone_lr_factor=0.5),
    _rtdetr(50, published_map=0.534, parameters=42_891_372, gflops=136, epochs=72, backbone_lr_factor=0.1),
    _rtdetr(101, published_map=0.543, parameters=76_556_268, gflops=259, epochs=72, backbone_lr_factor=0.01),
    _dfine("n", "nano", published_map=0.428, parameters=3_770_421, gflops=7, lr=8e-4, batch_size=128, epochs=160,
           backbone_lr_factor=0.5),
    _dfine("s", "small", published_map=0.485, parameters=10_309_605, gflops=25, lr=2e-4, batch_size=32, epochs=132,
           backbone_lr_factor=0.5),
    _dfine("m", "medium", published_map=0.523, parameters=19_563_368, gflops=57, lr=2e-4, batch_size=32, epochs=132,
           backbone_lr_factor=0.1),
    _dfine("l", "large", published_map=0.540, parameters=31_244_152, gflops=91, lr=2.5e-4, batch_size=32, epochs=80,
           weight_decay=1.25e-4, backbone_lr_factor=0.05),
    _dfine("x", "xlarge", published_map=0.558, parameters=62_621_560, gflops=202, lr=2.5e-4, batch_size=32, epochs=80,
           weight_decay=1.25e-4, backbone_lr_factor=0.01),
    _deimv2("atto", 320, published_map=0.238, parameters=509_705, gflops=0.8, lr=2e-3, batch_size=128, epochs=500,
            warmup_steps=4000, backbone_lr_factor=0.5),
    _deimv2("femto", 416, published_map=0.310, parameters=989_113, gflops=1.7, lr=1.6e-3, batch_size=128, epochs=500,
            warmup_steps=4000, backbone_lr_factor=0.5),
    _deimv2("pico", 640, published_map=0.385, parameters=1_545_779, gflops=5.2, lr=1.6e-3, batch_size=128, epochs=500,
            warmup_steps=4000, backbone_lr_factor=0.5),
    _deimv2("n", 640, published_map=0.430, parameters=3_604_917, gflops=6.8, lr=8e-4, batch_size=32, epochs=160,
            backbone_lr_factor=0.5),
    _rfdetr("nano", 384, published_map=0.484, parameters=30_467_298),
    _rfdetr("small", 512, published_map=0.530, parameters=32_111_170),
    _rfdetr("medium", 576, published_map=0.547, parameters=33_687_458),
    _lwdetr("tiny", published_map=0.426, parameters=12_052_002, gflops=11.2, batch_size=32, backbone_lr_factor=0.3),
    _lwdetr("small", published_map=0.480, parameters=14_557_378, gflops=16.6, batch_size=32, backbone_lr_factor=0.3),
    _lwdetr("medium", published_map=0.525, parameters=28_237_378, gflops=42.8, batch_size=16, backbone_lr_factor=0.2),
    _lwdetr("large", published_map=0.561, parameters=46_823_650, gflops=71.6, batch_size=16, backbone_lr_factor=0.1),
    _lwdetr("xlarge", published_map=0.583, parameters=118_033_378, gflops=174.2, batch_size=16, weight_decay=1e-3,
            backbone_lr_factor=0.1),
    *_OLDER,
)
