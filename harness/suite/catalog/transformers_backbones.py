"""RT-DETRv2 on a backbone of the suite's choice, one of timm or one of transformers, as data.

Nobody published weights of the whole: `weights: backbone` starts from the backbone's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.suite.catalog import timm
from harness.suite.catalog import transformers_configs as configs
from harness.suite.catalog.architecture import HubFile, Option
from harness.suite.catalog.transformers_row import (
    ADAMW,
    APACHE,
    COMMON,
    IMAGENET,
    QUERIES,
    RTDETR_PAGE,
    TransformersArchitecture,
)

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Published

RESNET_18 = "microsoft/resnet-18"  # transformers' backbone unless a suite names another one; Apache-2.0
_TIMM = timm.ARCHITECTURES[0]  # which has the same backbones


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTimmArchitecture(TransformersArchitecture):
    """A row whose backbone is the suite's choice among timm's."""

    def weights_unless_set(self) -> str:
        """The backbone's."""
        return "backbone"

    def published_file(self, word: str, backbone: str | None = None) -> Published:
        """The file of the backbone that a suite chose."""
        return _TIMM.published_file(word, backbone)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTransformersArchitecture(TransformersArchitecture):
    """A row whose backbone is the suite's choice among transformers': a repository of the hub, or a folder."""

    def weights_unless_set(self) -> str:
        """The backbone's."""
        return "backbone"

    def published_file(self, word: str, backbone: str | None = None) -> Published:  # noqa: ARG002 - there is one word
        """The file of the backbone that a suite chose; its configuration is beside it."""
        return HubFile(repo=backbone or RESNET_18)

    def needed_file(self, word: str, backbone: str | None = None) -> Published | None:
        """That file; of a backbone with random weights its configuration, unless the catalogue holds it."""
        if backbone is not None and Path(backbone).is_absolute():
            return None  # a folder, which has all of it
        if word == "none" and backbone not in (None, RESNET_18):
            return HubFile(repo=str(backbone), file="config.json")
        return self.published_file(word, backbone) if word in self.published_files else None


_COMMON: dict[str, Any] = {
    **COMMON,
    "stages": 1,
    "queries": 300,
    "image_size": (640, 640),
    "resize": "square",
    "size_multiple": 32,
    "weights_license": APACHE,
    "recipe": replace(ADAMW, source=f"{RTDETR_PAGE}/configs/rtdetrv2", epochs=120, backbone_lr_factor=0.1, ema=0.9999),
    "model_type": "rt_detr_v2",
}

ARCHITECTURES: tuple[TransformersArchitecture, ...] = (
    OnTimmArchitecture(
        **{
            **_COMMON,
            "family": "harness.trial.models.transformers_timm.family",
            "extra": "transformers,timm",
            "packages": (*COMMON["packages"], "timm"),
        },
        name="rtdetr_v2_timm",
        backbone=timm.LITE0,
        published_files=_TIMM.published_files,
        parameters=11_834_800,
        config=configs.rtdetr_v2(18),
        options=(Option(name="backbone", kind="name"), *QUERIES),
    ),
    OnTransformersArchitecture(
        **{**_COMMON, "family": "harness.trial.models.transformers_backbone.family"},
        **IMAGENET,
        name="rtdetr_v2_transformers",
        backbone=RESNET_18,
        published_files={"backbone": HubFile(repo=RESNET_18)},
        parameters=20_161_008,
        config={**configs.rtdetr_v2(18), "backbone_config": configs.RESNET_18},
        options=(Option(name="backbone", kind="name", folders=True), *QUERIES),
    ),
)
