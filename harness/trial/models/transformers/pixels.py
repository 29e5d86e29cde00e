"""What goes into a network: images resized and normalised on their device, and the targets that belong to them.

This is what the library's image processors do, without leaving the device and without a copy through PIL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from harness.trial.models.transformers import tracing

if TYPE_CHECKING:
    from torch import Tensor

    from harness.suite.schema import ImageSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How images become one batch.

    Attributes:
        image_size: of the suite; a square resize takes its `min`.
        square: every image becomes a square; otherwise its sides keep their ratio, and the batch is padded.
        multiple: the sides of the batch are multiples of this many pixels.
        mean: subtracted from red, green and blue.
        std: what the difference is divided by.
    """

    image_size: ImageSize
    square: bool
    multiple: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def size(self, height: int, width: int, scale: float = 1.0) -> tuple[int, int]:
        """The size that an image of this height and width is resized to."""
        if self.square:
            side = max(1, round(self.image_size.min * scale / self.multiple)) * self.multiple
            return side, side
        low, high = self.image_size.min * scale, self.image_size.max * scale
        ratio = min(low / min(height, width), high / max(height, width))
        return max(1, round(height * ratio)), max(1, round(width * ratio))

    def _size_of(self, image: Tensor, scale: float) -> tuple[int, int]:
        if tracing.is_tracing() and not self.square:
            return tracing.shorter_side(image, self.image_size)
        return self.size(image.shape[-2], image.shape[-1], scale)

    def batch(self, images: list[Tensor], scale: float = 1.0) -> Batch:
        """The images as one batch, in the floating-point type that they have.

        Args:
            images: each [3, H, W], RGB from 0 to 1.
            scale: of the size, for training at several.
        """
        resized = [_resize(image, self._size_of(image, scale)) for image in images]
        mean = torch.tensor(self.mean, dtype=resized[0].dtype, device=resized[0].device).view(3, 1, 1)
        std = torch.tensor(self.std, dtype=resized[0].dtype, device=resized[0].device).view(3, 1, 1)
        if any(self.mean) or any(value != 1 for value in self.std):
            resized = [(image - mean) / std for image in resized]
        if self.square:
            return Batch(pixels=torch.stack(resized), mask=None)
        height = max(_up(image.shape[-2], self.multiple) for image in resized)
        width = max(_up(image.shape[-1], self.multiple) for image in resized)
        margins = [(0, width - image.shape[-1], 0, height - image.shape[-2]) for image in resized]
        pixels = torch.stack([functional.pad(image, margin) for image, margin in zip(resized, margins, strict=True)])
        inside = [torch.ones_like(image[0], dtype=torch.long) for image in resized]
        mask = torch.stack([functional.pad(ones, margin) for ones, margin in zip(inside, margins, strict=True)])
        return Batch(pixels=pixels, mask=mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch: `pixels` [N, 3, H, W], and `mask` [N, H, W], 1 where an image is and 0 in the padding, or None."""

    pixels: Tensor
    mask: Tensor | None

    def covered(self) -> Tensor | None:
        """The part of the batch's width and height that each image covers, [N, 4] as (x, y, x, y); None if all."""
        if self.mask is None:
            return None
        height, width = self.mask.shape[-2:]
        x = self.mask[:, 0, :].sum(-1) / width
        y = self.mask[:, :, 0].sum(-1) / height
        return torch.stack([x, y, x, y], dim=-1).to(self.pixels.dtype)


def labels(images: list[Tensor], targets: list[dict[str, Tensor]], covered: Tensor | None) -> list[dict[str, Tensor]]:
    """The targets as the library's losses take them: labels from 0, boxes as (cx, cy, w, h) from 0 to 1.

    Args:
        images: as given, before they are resized: boxes are in their pixels.
        targets: each with `boxes` [N, 4], xyxy, and `labels` from 1.
        covered: where boxes are fractions of the padded batch, the part of it that each image covers.
    """
    converted = []
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        height, width = image.shape[-2:]
        boxes = target["boxes"].float()
        boxes = boxes / boxes.new_tensor([width, height, width, height])
        if covered is not None:
            boxes = boxes * covered[index].float()
        low, high = boxes[:, :2], boxes[:, 2:]
        converted.append(
            {"class_labels": target["labels"] - 1, "boxes": torch.cat([(low + high) / 2, high - low], dim=-1)}
        )
    return converted


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, with the filter that keeps a smaller image free of aliasing, in float32."""
    if not tracing.is_tracing() and tuple(image.shape[-2:]) == size:
        return image
    resized = functional.interpolate(image[None].float(), size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].to(image.dtype)


def _up(side: int, multiple: int) -> int:
    return (side + multiple - 1) // multiple * multiple  # of no negative number: ONNX divides towards 0
