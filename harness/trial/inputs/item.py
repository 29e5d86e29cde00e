"""One labelled image as tensors, and a sequence of them."""

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
        name: the file's name, or the index in a user's Dataset.
        image: float32 [3, H, W], RGB in 0–1.
        boxes: float32 [N, 4], xyxy, pixels.
        labels: int64 [N], from 1.
        crowds: bool [N].
        areas: float32 [N], pixels².
    """

    name: str
    image: Tensor
    boxes: Tensor
    labels: Tensor
    crowds: Tensor
    areas: Tensor


class Items(Protocol):
    """A sequence of items, read when asked for."""

    class_names: tuple[str, ...]

    @property
    def annotations(self) -> Annotations | None:
        """Of all of them, where they are known before an item is read."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, index: int) -> Item:
        """Read one.

        Raises:
            DataError: it is not usable; says which, and why.
        """

    def path(self, index: int) -> str | None:
        """The file that holds its image, where there is one."""
