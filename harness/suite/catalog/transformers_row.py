"""What a row of the DETR family holds beside every row, and what all of its rows and recipes have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.suite.catalog.architecture import Architecture, Option, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAMILY = "harness.trial.models.transformers.family"
APACHE = "Apache-2.0"
RTDETR_PAGE = "https://github.com/lyuwenyu/RT-DETR/tree/main/rtdetrv2_pytorch"
COCO_80, COCO_91 = 80, 91  # the classes of COCO, and its largest id with a place for 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersArchitecture(Architecture):
    """A row with what transformers needs.

    Attributes:
        model_type: the name of its configuration in transformers.
        config: what differs from that configuration's defaults.
        published_classes: the number of classes of the published weights, to which `parameters` belongs.
        pixel_mean: subtracted from red, green and blue, which are from 0 to 1.
        pixel_std: what the difference is divided by.
        pad_multiple: where images keep their shape, what the sides of a padded batch are multiples of.
        frozen_prefixes: the beginnings of the names of parameters that the recipe does not train, from published
            weights.
    """

    model_type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    published_classes: int = COCO_80
    pixel_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pixel_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pad_multiple: int = 1
    frozen_prefixes: tuple[str, ...] = ()


IMAGENET: dict[str, Any] = {"pixel_mean": (0.485, 0.456, 0.406), "pixel_std": (0.229, 0.224, 0.225)}
COMMON: dict[str, Any] = {
    "family": _FAMILY,
    "extra": "transformers",
    "packages": ("transformers", "safetensors"),
    "code_license": APACHE,
    "weights_folders": True,
    "fp16": False,
    "min_batch": 1,
}
ADAMW = Recipe(
    lr=1e-4,
    optimizer="adamw",
    milestones=(),
    weight_decay=1e-4,
    norm_weight_decay=0.0,
    schedule="constant",
    warmup_steps=2000,
    max_warmup_epochs=1.0,
    clip_grad_norm=0.1,
    augmentation="ssd",
)

QUERIES = (Option(name="queries", minimum=1),)
