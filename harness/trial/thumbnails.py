"""Small copies of evaluated images that lie in no file, so that the report can show them: those of a user's Dataset."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from harness.trial.dataset import Item

_MOST = 200  # images, the first ones: some megabytes
_SIDE = 320  # pixels, the longer one
_QUALITY = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A JPEG, and the width and height of what it shows, in pixels."""

    jpeg: bytes
    width: int
    height: int


def keeping(items: Iterable[Item], thumbnails: dict[int, Thumbnail]) -> Iterator[Item]:
    """The items as they come; `thumbnails` takes a copy of the first ones, by their number."""
    for number, item in enumerate(items):
        if number < _MOST:
            thumbnails[number] = _small(item.image)
        yield item


def _small(image: Tensor) -> Thumbnail:
    """Of an image float32 [3, H, W] in 0–1."""
    picture = Image.fromarray((image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    width, height = picture.size
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return Thumbnail(jpeg=stream.getvalue(), width=width, height=height)
