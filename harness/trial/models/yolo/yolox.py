"""YOLOX (Ge et al. 2021, arXiv:2107.08430): anchor-free, with a head of its own for classes and SimOTA's assignment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from harness.trial.models.yolo.library import library
from harness.trial.models.yolo.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PRIOR_PROBABILITY = 0.01  # of an object of a class at a location, before training (arXiv:1708.02002, section 4.1)
_COCO = 80
_PARTS = {"iou_loss": "loss_box", "obj_loss": "loss_objectness", "cls_loss": "loss_class", "l1_loss": "loss_l1"}


class Yolox(Network):
    """A YOLOX of libreyolo; size is n, t, s, m, l or x."""

    name: ClassVar[str] = "yolox"
    class_weight: ClassVar[str] = "head.cls_preds.0.weight"
    placement: ClassVar[Literal["topleft"]] = "topleft"
    one_class: ClassVar[bool] = True
    compiled: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(self, size: str) -> None:
        self.module: Any = library().yolox(config=size, nb_classes=_COCO)
        self.module.init_weights(_PRIOR_PROBABILITY)
        # The L1 part belongs to the recipe's epochs without mosaic, and here there is none.
        self.module.head.use_l1 = True

    def pixels(self, images: Tensor) -> Tensor:
        """See `Network.pixels`: BGR from 0 to 255."""
        return images.flip(1) * 255

    def maps(self, batch: Tensor) -> list[Tensor]:
        """See `Network.maps`: for each location four numbers of the box, the objectness, and the classes."""
        head = self.module.head
        outputs = []
        for level, features in enumerate(self.module.backbone(batch)):
            stem = head.stems[level](features)
            classes = head.cls_preds[level](head.cls_convs[level](stem))
            tower = head.reg_convs[level](stem)
            outputs.append(torch.cat((head.reg_preds[level](tower), head.obj_preds[level](tower), classes), 1).float())
        return outputs

    def losses(self, maps: list[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """See `Network.losses`; libreyolo's, over the number of matched locations."""
        decoded, grids = self._decoded(maps)
        strides = [
            torch.full((1, grid.shape[1]), float(stride), device=grid.device)
            for grid, stride in zip(grids, self.module.head.strides, strict=True)
        ]
        with torch.autocast(maps[0].device.type, enabled=False):
            parts = self.module.head.get_losses(
                None,
                [grid[..., 0] for grid in grids],
                [grid[..., 1] for grid in grids],
                strides,
                _targets(boxes, labels),
                torch.cat(decoded, 1),
                [level[:, :4].flatten(2).transpose(1, 2) for level in maps],
                dtype=torch.float32,
            )
        return {name: parts[key] for key, name in _PARTS.items()}

    def decode(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """See `Network.decode`: a class's score is its probability times that of an object."""
        decoded = torch.cat(self._decoded(maps)[0], 1)
        centres, sides = decoded[..., :2], decoded[..., 2:4]
        return torch.cat((centres - sides / 2, centres + sides / 2), -1), (
            decoded[..., 4:5].sigmoid() * decoded[..., 5:].sigmoid()
        )

    def _decoded(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """For each level the outputs, [B, H × W, 5 + C], boxes as cxcywh in pixels; and its grid, [1, H × W, 2]."""
        head = self.module.head
        head.grids = [torch.zeros(1)] * len(maps)  # libreyolo keeps them by shape alone, whatever the device
        levels = [
            head.get_output_and_grid(output.clone(), level, head.strides[level], None)  # which it may change in place
            for level, output in enumerate(maps)
        ]
        return [decoded for decoded, _ in levels], [grid for _, grid in levels]

    def replace_head(self, classes: int) -> None:
        """See `Network.replace_head`; what is an object stays learnt."""
        head = self.module.head
        for level, old in enumerate(head.cls_preds):
            layer = nn.Conv2d(old.in_channels, classes, 1)
            nn.init.constant_(layer.bias, -math.log((1 - _PRIOR_PROBABILITY) / _PRIOR_PROBABILITY))  # type: ignore[arg-type] # it has a bias
            head.cls_preds[level] = layer
        head.num_classes = self.module.nb_classes = classes

    def stages(self) -> Sequence[nn.Module]:
        """See `Network.stages`: the stem and CSPDarknet's four."""
        darknet = self.module.backbone.backbone
        return [darknet.stem, darknet.dark2, darknet.dark3, darknet.dark4, darknet.dark5]


def _targets(boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """[B, most boxes, 5]: class, and cxcywh in pixels of the square; rows of zeros where an image has fewer."""
    most = max((len(each) for each in labels), default=0)
    targets = boxes[0].new_zeros((len(boxes), most, 5))
    for row, corners, classes in zip(targets, boxes, labels, strict=True):
        row[: len(classes), 0] = classes
        row[: len(classes), 1:3] = (corners[:, :2] + corners[:, 2:]) / 2
        row[: len(classes), 3:5] = corners[:, 2:] - corners[:, :2]
    return targets
