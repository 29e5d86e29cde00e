"""The permissive YOLOs of the libreyolo library, as data: one row each.

Two families of that library have both code and weights under a permissive licence, and are trained by it: YOLOX, whose
code and weights are Megvii's (Apache-2.0), and YOLOv9 in its authors' own second edition (MIT; the first one is under
the GPL). What a row means in torch is the business of `harness.trial.models.yolo`.

Recipes are the authors': SGD, 0.01 for 64 images, no decay of norms and biases, a moving average of the weights.
What they have beside it, mosaics and mixed images, is no preset here, and nor is YOLOv9's auxiliary branch; YOLOv9's
rate falls linearly, for which the cosine stands. YOLOs' tables count a multiplication and its addition as two
operations; `gflops` counts them as one, as torchvision's do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.suite.catalog.architecture import Architecture, HubFile, Recipe

_FAMILY = "harness.trial.models.yolo.family"
_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX"
_YOLOV9 = "https://github.com/MultimediaTechLab/YOLO"
_YOLOX_SIZES = {"nano": "n", "tiny": "t", "s": "s", "m": "m", "l": "l", "x": "x"}


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloArchitecture(Architecture):
    """A row with what libreyolo calls its network.

    Attributes:
        network: libreyolo's `model_family`.
        size: libreyolo's `size` in that family.
    """

    network: Literal["yolox", "yolo9"]
    size: str


def _yolox(
    name: str, parameters: int, operations: float, published_map: float, image_size: int = 640
) -> YoloArchitecture:
    """A YOLOX.

    Args:
        name: of the size.
        operations: billions of them, as the authors count.
        published_map: on COCO val2017.
        image_size: the native one.
    """
    size = _YOLOX_SIZES[name]
    return YoloArchitecture(
        name=f"yolox_{name}",
        family=_FAMILY,
        network="yolox",
        size=size,
        backbone="CSPDarknet",
        stages=1,
        parameters=parameters,
        gflops=round(operations / 2, 2),
        image_size=(image_size, image_size),
        resize="letterbox",
        size_multiple=32,
        published_map=published_map,
        published_source=f"{_YOLOX}#benchmark",
        published_files={"default": HubFile(repo=f"LibreYOLO/LibreYOLOX{size}", file=f"LibreYOLOX{size}.pt")},
        code_license="Apache-2.0 AND MIT",
        weights_license="Apache-2.0",
        extra="yolo",
        packages=("libreyolo",),
        recipe=Recipe(
            lr=0.01,
            batch_size=64,
            epochs=300,
            nesterov=True,
            weight_decay=5e-4,
            norm_weight_decay=0.0,
            schedule="cosine",
            ema=0.9998,
            source=f"{_YOLOX}/blob/main/yolox/exp/yolox_base.py",
        ),
    )


def _yolov9(size: str, parameters: int, operations: float, published_map: float | None) -> YoloArchitecture:
    """A YOLOv9; arguments as of `_yolox`."""
    return YoloArchitecture(
        name=f"yolov9_{size}",
        family=_FAMILY,
        network="yolo9",
        size=size,
        backbone="GELAN",
        stages=1,
        parameters=parameters,
        gflops=round(operations / 2, 2),
        image_size=(640, 640),
        resize="letterbox",
        size_multiple=32,
        published_map=published_map,
        published_source=f"{_YOLOV9}/blob/main/docs/2_model_zoo/0_object_detection.rst" if published_map else "",
        published_files={"default": HubFile(repo=f"LibreYOLO/LibreYOLO9{size}", file=f"LibreYOLO9{size}.pt")},
        code_license="MIT",
        weights_license="MIT",
        extra="yolo",
        packages=("libreyolo",),
        recipe=Recipe(
            lr=0.01,
            batch_size=64,
            epochs=500,
            momentum=0.937,
            nesterov=True,
            weight_decay=5e-4,
            norm_weight_decay=0.0,
            schedule="cosine",
            ema=0.9999,
            source=f"{_YOLOV9}/blob/main/yolo/config/task/train.yaml",
        ),
    )


ARCHITECTURES: tuple[YoloArchitecture, ...] = (
    _yolox("nano", 912_159, 1.08, 0.258, image_size=416),
    _yolox("tiny", 5_055_855, 6.45, 0.328, image_size=416),
    _yolox("s", 8_968_255, 26.8, 0.405),
    _yolox("m", 25_326_495, 73.8, 0.469),
    _yolox("l", 54_208_895, 155.6, 0.497),
    _yolox("x", 99_071_455, 281.9, 0.511),
    # Its weights' table has no accuracy of the smallest one; the first edition's paper has 38.3 % for its own.
    _yolov9("t", 2_036_544, 7.7, None),
    _yolov9("s", 7_226_192, 26.4, 0.468),
    _yolov9("m", 20_123_984, 76.3, 0.514),
    _yolov9("c", 25_498_736, 102.1, 0.530),
)
