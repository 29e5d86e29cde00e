"""Rows of the DETR family whose backbone is a plain vision transformer, and the first DETR."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.suite.catalog import transformers_configs as configs
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.transformers_row import (
    ADAMW,
    APACHE,
    COCO_91,
    COMMON,
    IMAGENET,
    QUERIES,
    TransformersArchitecture,
)

_RFDETR_PAGE = "https://github.com/roboflow/rf-detr"


def _rfdetr(size: str, side: int, *, published_map: float, parameters: int, operations: float) -> Any:
    """RF-DETR with a DINOv2 (Apache-2.0) backbone in windows.

    `operations` are billions; its authors count a multiplication and its addition as two.
    """
    return TransformersArchitecture(
        **COMMON,
        **IMAGENET,
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
        weights_license=APACHE,
        parameters=parameters,
        gflops=round(operations / 2, 2),
        recipe=replace(
            ADAMW,
            source=f"{_RFDETR_PAGE}/blob/develop/rfdetr/config.py",
            epochs=100,
            warmup_steps=0,
            backbone_lr_factor=0.3,
            ema=0.993,
            augmentation="multiscale",
        ),
        model_type="rf_detr",
        options=QUERIES,
        config=configs.rf_detr(size, side),
        published_classes=COCO_91,
    )


_LWDETR_PAGE = "https://github.com/Atten4Vis/LW-DETR"


def _lwdetr(size: str, *, published_map: float, parameters: int, gflops: float, **recipe: Any) -> Any:
    """LW-DETR with a plain ViT in windows, pretrained on Objects365."""
    return TransformersArchitecture(
        **COMMON,
        **IMAGENET,
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
        weights_license=APACHE,
        parameters=parameters,
        gflops=gflops,
        recipe=replace(
            ADAMW,
            source=f"{_LWDETR_PAGE}/tree/main/scripts",
            epochs=60,
            warmup_steps=0,
            ema=0.9997,
            augmentation="multiscale",
            **recipe,
        ),
        model_type="lw_detr",
        options=QUERIES,
        config=configs.lw_detr(size),
        published_classes=COCO_91,
    )


_DETR_PAGE = "https://github.com/facebookresearch/detr"
_YOLOS_PAGE = "https://github.com/hustvl/YOLOS"

_OLDER: tuple[TransformersArchitecture, ...] = (
    TransformersArchitecture(
        **COMMON,
        **IMAGENET,
        name="detr_resnet_50",
        backbone="resnet50",
        stages=1,
        queries=100,
        image_size=(800, 1333),
        resize="shorter_side",
        published_map=0.420,
        published_source=_DETR_PAGE,
        published_files={"default": HubFile(repo="facebook/detr-resnet-50", revision="no_timm")},
        weights_license=APACHE,
        parameters=41_524_768,
        gflops=86.0,
        recipe=replace(
            ADAMW,
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
        frozen_prefixes=("model.backbone.model.embedder.", "model.backbone.model.encoder.stages.0."),
        config=configs.DETR_RESNET_50,
        published_classes=COCO_91,
    ),
    TransformersArchitecture(
        **COMMON,
        **IMAGENET,
        name="yolos_tiny",
        backbone="deit_tiny",
        stages=1,
        queries=100,
        image_size=(512, 1333),
        resize="shorter_side",
        published_map=0.287,
        published_source=_YOLOS_PAGE,
        published_files={"default": HubFile(repo="hustvl/yolos-tiny", revision="main")},
        weights_license=APACHE,
        parameters=6_488_736,
        recipe=replace(
            ADAMW,
            source=f"{_YOLOS_PAGE}/blob/main/README.md",
            lr=5e-5,
            epochs=300,
            schedule="cosine",
            norm_weight_decay=None,
            warmup_steps=0,
            augmentation="multiscale",
        ),
        model_type="yolos",
        pad_multiple=16,
        config=configs.YOLOS_TINY,
        published_classes=COCO_91,
    ),
)

ARCHITECTURES: tuple[TransformersArchitecture, ...] = (
    _rfdetr("nano", 384, published_map=0.484, parameters=30_467_298, operations=31.9),
    _rfdetr("small", 512, published_map=0.530, parameters=32_111_170, operations=59.8),
    _rfdetr("medium", 576, published_map=0.547, parameters=33_687_458, operations=78.8),
    _lwdetr("tiny", published_map=0.426, parameters=12_052_002, gflops=11.2, batch_size=32, backbone_lr_factor=0.3),
    _lwdetr("small", published_map=0.480, parameters=14_557_378, gflops=16.6, batch_size=32, backbone_lr_factor=0.3),
    _lwdetr("medium", published_map=0.525, parameters=28_237_378, gflops=42.8, batch_size=16, backbone_lr_factor=0.2),
    _lwdetr("large", published_map=0.561, parameters=46_823_650, gflops=71.6, batch_size=16, backbone_lr_factor=0.1),
    _lwdetr(
        "xlarge",
        published_map=0.583,
        parameters=118_033_378,
        gflops=174.2,
        batch_size=16,
        weight_decay=1e-3,
        backbone_lr_factor=0.1,
    ),
    *_OLDER,
)
