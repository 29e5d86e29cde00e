"""A labelled image as tensors, and the protocol of a sequence of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from harness.data.annotations import Annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One labelled image.

    Attributes:
        name: the image's file name, or its index in a user's Dataset.
        image: float32 [3, H, W], RGB in 0–1.
        boxes: float32 [N, 4], xyxy, pixels.
        labels: int64 [N], class numbers from 1.
        crowds: bool [N], whether the box is a crowd region.
        areas: float32 [N], pixels².
    """

    name: str
    image: Tensor
    boxes: Tensor
    labels: Tensor
    crowds: Tensor
    areas: Tensor


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
