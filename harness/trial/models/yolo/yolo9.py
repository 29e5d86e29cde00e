"""YOLOv9 (Wang et al. 2024, arXiv:2402.13616): distances to four sides as distributions, task-aligned assignment.

Without its auxiliary branch, which only training has: libreyolo's published weights and networks are without it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from harness.trial.models.yolo.library import library
from harness.trial.models.yolo.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 80  # channels of the published weights' class towers; libreyolo's own depend on the number of classes
HIDDEN_WEIGHT = "head.cv3.0.0.conv.weight"  # whose first dimension is that
_CLASS_BIAS = -10.0  # as the library starts its class layers
_NO_CLASS = -1
_STRIDES = (8, 16, 32)
_PARTS = {"box_loss": "loss_box", "dfl_loss": "loss_distribution", "cls_loss": "loss_class"}


class Yolo9(Network):
    """A YOLOv9 of libreyolo; size is t, s, m or c, and `width` the channels of its class towers."""

    name: ClassVar[str] = "yolo9"
    class_weight: ClassVar[str] = "head.cv3.0.2.weight"
    placement: ClassVar[Literal["center"]] = "center"
    one_class: ClassVar[bool] = False
    compiled: ClassVar[tuple[str, ...]] = ("backbone", "neck")

    def __init__(self, size: str, width: int = WIDTH) -> None:
        # The class towers are as wide as the finest level has channels or as there are classes, whatever is more.
        self.module: Any = library().yolo9(config=size, nb_classes=width)
        self._loss: Any = None
        self._decoder: Any = None

    def pixels(self, images: Tensor) -> Tensor:
        """See `Network.pixels`: they are right as they are."""
        return images

    def maps(self, batch: Tensor) -> list[Tensor]:
        """See `Network.maps`: for each location the distributions of four distances, and the classes."""
        head = self.module.head
        features = self.module.neck(*self.module.backbone(batch))
        return [
            torch.cat((head.cv2[level](each), head.cv3[level](each)), 1).float() for level, each in enumerate(features)
        ]

    def losses(self, maps: list[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """See `Network.losses`; libreyolo's, over the sum of the assigned locations' weights."""
        device, size = maps[0].device, _size(maps)
        if self._loss is None or self._loss.device != device:
            self._loss = library().yolo9_loss(**self._settings(device), image_size=None, distributed_normalize=False)
        self._loss.update_anchors([size, size])
        with torch.autocast(device.type, enabled=False):
            parts = self._loss(maps, _targets(boxes, labels, size))
        return {name: parts[key] for key, name in _PARTS.items()}

    def decode(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """See `Network.decode`."""
        device, size = maps[0].device, _size(maps)
        if self._decoder is None or self._decoder.device != device or self._decoder.image_size != [size, size]:
            self._decoder = library().yolo9_decoder(**self._settings(device), image_size=[size, size])
        logits, _, boxes = self._decoder(maps)
        return boxes, logits.sigmoid()

    def _settings(self, device: torch.device) -> dict[str, Any]:
        head = self.module.head
        return {"num_classes": head.nc, "reg_max": head.reg_max, "strides": list(_STRIDES), "device": device}

    def replace_head(self, classes: int) -> None:
        """See `Network.replace_head`."""
        head = self.module.head
        for tower in head.cv3:
            layer = nn.Conv2d(tower[-1].in_channels, classes, 1)
            nn.init.constant_(layer.bias, _CLASS_BIAS)  # type: ignore[arg-type] # it has a bias
            tower[-1] = layer
        head.nc = self.module.nc = classes
        head.no = classes + 4 * head.reg_max
        self._loss = self._decoder = None

    def stages(self) -> Sequence[nn.Module]:
        """See `Network.stages`: each halves the image."""
        body = self.module.backbone
        return [
            body.conv0,
            nn.ModuleList([body.conv1, body.elan1]),
            nn.ModuleList([body.down2, body.elan2]),
            nn.ModuleList([body.down3, body.elan3]),
            nn.ModuleList([body.down4, body.elan4, body.spp]),
        ]


def _size(maps: list[Tensor]) -> int:
    """The side in pixels of the square that raw outputs are of."""
    return _STRIDES[0] * int(maps[0].shape[-1])


def _targets(boxes: Sequence[Tensor], labels: Sequence[Tensor], size: int) -> Tensor:
    """[B, most boxes, 5]: class, and xyxy from 0 to 1; class -1 and zeros where an image has fewer."""
    most = max((len(each) for each in labels), default=0)
    targets = boxes[0].new_zeros((len(boxes), most, 5))
    targets[..., 0] = _NO_CLASS
    for row, corners, classes in zip(targets, boxes, labels, strict=True):
        row[: len(classes), 0] = classes
        row[: len(classes), 1:] = (corners / size).clamp(0, 1)
    return targets
