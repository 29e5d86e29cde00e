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
_LARGEST_CANVAS = 4  # times the image's sides, when it is zoomed out (SSD)


def augment(item: Item, augmentation: Augmentation) -> tuple[Tensor, Target]:
    """Change one item at random, with torch's global generator; crowd regions are left out.

    Returns:
        The image, [3, H, W], of the same type and, without a crop, the same size; and the boxes, float32 [N, 4], with
        their labels, int64 [N], and the masks, uint8 [N, H, W], of an item that has masks.
    """
    keep = ~item.crowds
    height, width = item.image.shape[-2:]
    image: Tensor = tv_tensors.Image(item.image)
    target = {
        "boxes": tv_tensors.BoundingBoxes(item.boxes[keep], format="XYXY", canvas_size=(height, width)),
        "labels": item.labels[keep],
    }
    if item.masks is not None:
        target["masks"] = tv_tensors.Mask(item.masks[keep])
    if augmentation.photometric:
        image = v2.RandomPhotometricDistort(p=augmentation.photometric)(image)
    zooms_out = augmentation.zoom_out and bool(torch.rand(()) < augmentation.zoom_out)
    if zooms_out:
        factor = 1 / (1 + (_LARGEST_CANVAS - 1) * float(torch.rand(())))
        image, target = v2.Compose(_zoom_steps(image, (factor, factor)))(image, target)
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
        steps += _zoom_steps(image, augmentation.scale_jitter)
    if zooms_out or crops or augmentation.scale_jitter:
        steps += [v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=_SMALLEST_BOX)]
    image, target = v2.Compose(steps)(image, target)
    return image.as_subclass(Tensor), {name: column.as_subclass(Tensor) for name, column in target.items()}


def _zoom_steps(image: Tensor, scales: tuple[float, float]) -> list[torch.nn.Module]:
    """A zoom by a factor between two, with a random place on a canvas of the image's size, grey where nothing is.

    Large-scale jitter (Ghiasi et al. 2021, arXiv:2012.07177) and SSD's expansion (Liu et al. 2016, arXiv:1512.02325) at
    the image's own size: the detector resizes the image afterwards, so only a zoom that keeps the canvas changes the
    size of the objects; and an image never takes more memory.
    """
    height, width = image.shape[-2:]
    grey = 0.5 if image.is_floating_point() else _GREY
    return [
        v2.ScaleJitter((height, width), scales, antialias=True),
        v2.RandomCrop((height, width), pad_if_needed=True, fill={tv_tensors.Image: grey, "others": 0}),  # 0 in masks
    ]
