"""Fit images of any shape into a square, without distortion, and take boxes there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

Placement = Literal["topleft", "center"]  # as libreyolo's checkpoints call it
PADDING = 114 / 255  # the grey around images that YOLOs are trained with


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterboxed:
    """An image in its square.

    Attributes:
        pixels: [3, size, size], from 0 to 1.
        factor: [4], float32: what x and y are multiplied by, twice.
        offset: [4], float32: the pixels to the left of the image and above it, twice.
        limits: [4], float32: width and height of the image as it was, twice.
    """

    pixels: Tensor
    factor: Tensor
    offset: Tensor
    limits: Tensor

    def into(self, boxes: Tensor) -> Tensor:
        """Boxes, [N, 4] as xyxy, from pixels of the image to pixels of the square."""
        return boxes * self.factor + self.offset

    def back(self, boxes: Tensor) -> Tensor:
        """Boxes, [N, 4] as xyxy, from pixels of the square to pixels of the image, and not beyond it."""
        return torch.minimum(((boxes - self.offset) / self.factor).clamp(min=0), self.limits)


def letterbox(image: Tensor, size: int, placement: Placement) -> Letterboxed:
    """Resize an image so that its longer side is `size`, bilinearly, and pad the shorter one.

    Bilinearly without antialiasing, since that is how the published weights saw their images.

    Args:
        image: [3, H, W], from 0 to 1.
        size: in pixels.
        placement: where in the square the image lies.
    """
    height, width = _sides(image)
    longest = torch.maximum(height, width) if isinstance(height, Tensor) else max(height, width)
    new_height, new_width = _at_least_one(height * size // longest), _at_least_one(width * size // longest)
    top, left = 0 * new_height, 0 * new_width
    if placement == "center":
        top, left = (size - new_height) // 2, (size - new_width) // 2
    # In a trace these are tensors, which both functions take, though their types do not say so.
    resized = functional.interpolate(image[None], size=(new_height, new_width), mode="bilinear")[0]
    margins = (left, size - new_width - left, top, size - new_height - top)
    square = functional.pad(resized, margins, value=PADDING)
    factor_x, factor_y = new_width / width, new_height / height
    numbers = _vector((factor_x, factor_y, left, top, width, height), image.device)
    factor, offset, limits = numbers.reshape(3, 2).repeat(1, 2).unbind()
    return Letterboxed(pixels=square, factor=factor, offset=offset, limits=limits)


def _sides(image: Tensor) -> tuple[Any, Any]:
    """Height and width; in a trace they are tensors, so that what is exported takes images of any size."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        height, width = torch._shape_as_tensor(image)[-2:].unbind()  # noqa: SLF001 - torch.onnx.operators' own way
        return height, width
    return image.shape[-2], image.shape[-1]


def _at_least_one(side: Any) -> Any:
    return side.clamp(min=1) if isinstance(side, Tensor) else max(side, 1)


def _vector(values: Sequence[float], device: torch.device) -> Tensor:
    """The values as a float32 tensor on a device."""
    if any(isinstance(value, Tensor) for value in values):
        return torch.stack([torch.as_tensor(value, device=device).float() for value in values])
    return torch.tensor(values, dtype=torch.float32, device=device)
