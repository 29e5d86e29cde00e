"""A labelled image as tensors, and the protocol of a sequence of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from harness.data.annotations import Annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One labelled image.

    Attributes:
        name: the image's file name, or its index in a user's Dataset.
        image: [3, H, W], RGB; uint8 as files hold it, which takes a quarter of the room on its way from a loader
            process, or float32 in 0–1 from a user's Dataset. `as_float` makes the one of the other.
        boxes: float32 [N, 4], xyxy, pixels.
        labels: int64 [N], class numbers from 1.
        crowds: bool [N], whether the box is a crowd region.
        areas: float32 [N], pixels².
        masks: uint8 [N, H, W], 1 where the object is; None for an architecture that needs none.
    """

    name: str
    image: Tensor
    boxes: Tensor
    labels: Tensor
    crowds: Tensor
    areas: Tensor
    masks: Tensor | None = None


def as_float(image: Tensor) -> Tensor:
    """Return an image as float32 in 0–1, with the same bits on every device; a float image is returned as it is."""
    if image.dtype != torch.uint8:
        return image
    # A tensor, because CUDA turns the division by a number into a product, which rounds otherwise.
    return image.to(torch.float32).div_(torch.full((), 255.0, device=image.device))


class Items(Protocol):
    """A sequence of items, each read on access."""

    class_names: tuple[str, ...]

    @property
    def annotations(self) -> Annotations | None:
        """The annotations of all items; None if they are unknown before an item is read."""

    def __len__(self) -> int:
        """Return the number of items."""

    def __getitem__(self, index: int) -> Item:
        """Read an item.

        Raises:
            DataError: the item cannot be used; the message says which one, and why.
        """

    def path(self, index: int) -> str | None:
        """Return the file that holds the item's image, or None."""
