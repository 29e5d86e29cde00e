"""The DETR family as transformers builds it, as data: one row each.

What a row means in torch is the business of `harness.trial.models.transformers`; the configuration of each network is
in `harness.suite.catalog.transformers_configs`.

Left out, because their weights or backbones are not under a permissive licence: DEIMv2 S to X (DINOv3 backbones or
backbones distilled from DINOv3, under the DINOv3 licence) and RF-DETR XL and 2XL (Platform Model License).

Recipes are those of the authors' own configuration files. Where a recipe has more than one rate for the backbone (a
decay from layer to layer), one factor near their mean stands for them.

The tables of RT-DETR, D-FINE and DEIMv2 count a multiplication and its addition as two operations; `gflops` counts them
as one, as those of torchvision, DETR and LW-DETR do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.suite.catalog import transformers_configs as configs
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.transformers_backbones import ARCHITECTURES as ON_OTHERS
from harness.suite.catalog.transformers_row import (
    ADAMW,
    APACHE,
    COMMON,
    QUERIES,
    RTDETR_PAGE,
    TransformersArchitecture,
)
from harness.suite.catalog.transformers_vit import ARCHITECTURES as VIT


def _rtdetr(depth: int, *, published_map: float, parameters: int, operations: float, **recipe: Any) -> Any:
    """RT-DETRv2 with a ResNet-vd; its weights are published by its authors. `operations`: billions, as these count."""
    name = f"rtdetr_v2_r{depth}vd"
    return TransformersArchitecture(
        **COMMON,
        name=name,
        backbone=f"resnet{depth}vd",
        stages=1,
        queries=300,
        image_size=(640, 640),
        resize="square",
        size_multiple=32,
        published_map=published_map,
        published_source=RTDETR_PAGE,
        published_files={"default": HubFile(repo=f"PekingU/{name}", revision="main")},
        weights_license=APACHE,
        parameters=parameters,
        gflops=round(operations / 2, 2),
        recipe=replace(ADAMW, source=f"{RTDETR_PAGE}/configs/rtdetrv2", ema=0.9999, **recipe),
        model_type="rt_detr_v2",
        frozen_prefixes=("model.backbone.model.embedder.",) if depth > 34 else (),  # noqa: PLR2004 - as its authors do
        config=configs.rtdetr_v2(depth),
        options=QUERIES,
    )


_DFINE_PAGE = "https://github.com/Peterande/D-FINE"


def _dfine(size: str, word: str, *, published_map: float, parameters: int, operations: float, **recipe: Any) -> Any:
    """D-FINE; of the published weights those that saw COCO alone. `operations`: billions, as its authors count."""
    return TransformersArchitecture(
        **COMMON,
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
        weights_license=APACHE,
        parameters=parameters,
        gflops=round(operations / 2, 2),
        recipe=replace(
            ADAMW, source=f"{_DFINE_PAGE}/tree/master/configs/dfine", warmup_steps=500, ema=0.9999, **recipe
        ),
        model_type="d_fine",
        frozen_prefixes=("model.backbone.model.embedder.",) if size in {"l", "x"} else (),
        config=configs.dfine(size),
        options=QUERIES,
    )


_DEIM_PAGE = "https://github.com/Intellindust-AI-Lab/DEIMv2"


def _deimv2(size: str, side: int, *, published_map: float, parameters: int, operations: float, **recipe: Any) -> Any:
    """DEIMv2 with an HGNetv2; of these, N alone is published in the format of transformers.

    `operations` are billions, as its authors count.

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
        **COMMON,
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
        weights_license=APACHE,
        parameters=parameters,
        gflops=round(operations / 2, 2),
        recipe=replace(ADAMW, source=f"{_DEIM_PAGE}/tree/main/configs/deimv2", schedule="cosine", ema=0.9999, **recipe),
        model_type="deimv2",
        options=QUERIES,
        config=configs.deimv2(size),
    )


ARCHITECTURES: tuple[TransformersArchitecture, ...] = (
    _rtdetr(18, published_map=0.481, parameters=20_174_608, operations=60, epochs=120),
    _rtdetr(34, published_map=0.499, parameters=31_424_388, operations=92, epochs=120, backbone_lr_factor=0.5),
    _rtdetr(50, published_map=0.534, parameters=42_891_372, operations=136, epochs=72, backbone_lr_factor=0.1),
    _rtdetr(101, published_map=0.543, parameters=76_556_268, operations=259, epochs=72, backbone_lr_factor=0.01),
    _dfine(
        "n",
        "nano",
        published_map=0.428,
        parameters=3_770_421,
        operations=7,
        lr=8e-4,
        batch_size=128,
        epochs=160,
        backbone_lr_factor=0.5,
    ),
    _dfine(
        "s",
        "small",
        published_map=0.485,
        parameters=10_309_605,
        operations=25,
        lr=2e-4,
        batch_size=32,
        epochs=132,
        backbone_lr_factor=0.5,
    ),
    _dfine(
        "m",
        "medium",
        published_map=0.523,
        parameters=19_563_368,
        operations=57,
        lr=2e-4,
        batch_size=32,
        epochs=132,
        backbone_lr_factor=0.1,
    ),
    _dfine(
        "l",
        "large",
        published_map=0.540,
        parameters=31_244_152,
        operations=91,
        lr=2.5e-4,
        batch_size=32,
        epochs=80,
        weight_decay=1.25e-4,
        backbone_lr_factor=0.05,
    ),
    _dfine(
        "x",
        "xlarge",
        published_map=0.558,
        parameters=62_621_560,
        operations=202,
        lr=2.5e-4,
        batch_size=32,
        epochs=80,
        weight_decay=1.25e-4,
        backbone_lr_factor=0.01,
    ),
    _deimv2(
        "atto",
        320,
        published_map=0.238,
        parameters=509_705,
        operations=0.8,
        lr=2e-3,
        batch_size=128,
        epochs=500,
        warmup_steps=4000,
        backbone_lr_factor=0.5,
    ),
    _deimv2(
        "femto",
        416,
        published_map=0.310,
        parameters=989_113,
        operations=1.7,
        lr=1.6e-3,
        batch_size=128,
        epochs=500,
        warmup_steps=4000,
        backbone_lr_factor=0.5,
    ),
    _deimv2(
        "pico",
        640,
        published_map=0.385,
        parameters=1_545_779,
        operations=5.2,
        lr=1.6e-3,
        batch_size=128,
        epochs=500,
        warmup_steps=4000,
        backbone_lr_factor=0.5,
    ),
    _deimv2(
        "n",
        640,
        published_map=0.430,
        parameters=3_604_917,
        operations=6.8,
        lr=8e-4,
        batch_size=32,
        epochs=160,
        backbone_lr_factor=0.5,
    ),
    *VIT,
    *ON_OTHERS,
)
