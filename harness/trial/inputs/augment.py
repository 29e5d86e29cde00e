"""The random changes of a training image, by torchvision.transforms.v2; the boxes follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

if TYPE_CHECKING:
    from harness.suite.schema import Augmentation
    from harness.trial.inputs.item import Item

Target = dict[str, Tensor]

_SMALLEST_BOX = 1.0  # pixels; a box that augmentation cuts down to less is dropped
_SMALLEST_CROP = 4  # pixels of the image's shorter side, of which a crop keeps 0.3 at least
_GREY = 128  # of 255


def augment(item: Item, augmentation: Augmentation) -> tuple[Tensor, Target]:
    """Change one item at random, with torch's global generator; crowd regions are left out.

    Returns:
        The image, [3, H, W], of the same type and, without a crop, the same size; and the boxes, float32 [N, 4], with
        their labels, int64 [N].
    """
    keep = ~item.crowds
    height, width = item.image.shape[-2:]
    image: Tensor = tv_tensors.Image(item.image)
    target = {
        "boxes": tv_tensors.BoundingBoxes(item.boxes[keep], format="XYXY", canvas_size=(height, width)),
        "labels": item.labels[keep],
    }
    if augmentation.photometric:
        image = v2.RandomPhotometricDistort(p=augmentation.photometric)(image)
    # Of an image of three pixels or less nothing may be left.
    crops = (
        augmentation.random_crop
        and min(height, width) >= _SMALLEST_CROP
        and bool(torch.rand(()) < augmentation.random_crop)
    )
    if crops:
        image, target = v2.RandomIoUCrop()(image, target)
        height, width = image.shape[-2:]
    steps: list[torch.nn.Module] = [v2.RandomHorizontalFlip(augmentation.hflip)]
    if augmentation.vflip:
        steps.append(v2.RandomVerticalFlip(augmentation.vflip))
    if augmentation.scale_jitter:
        # Large-scale jitter (Ghiasi et al. 2021, arXiv:2012.07177) at the image's own size: the detector resizes the
        # image afterwards, so only a zoom that keeps the canvas changes the size of the objects.
        steps += [
            v2.ScaleJitter((height, width), augmentation.scale_jitter, antialias=True),
            v2.RandomCrop((height, width), pad_if_needed=True, fill=0.5 if image.is_floating_point() else _GREY),
        ]
    if crops or augmentation.scale_jitter:
        steps += [v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=_SMALLEST_BOX)]
    image, target = v2.Compose(steps)(image, target)
    return image.as_subclass(Tensor), {"boxes": target["boxes"].as_subclass(Tensor), "labels": target["labels"]}
