"""Small copies of images that lie in no file, those of a user's Dataset, so that the report can show them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 320  # pixels, the longer one
_QUALITY = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small JPEG, and the width and height of what it shows, in pixels."""

    jpeg: bytes
    width: int
    height: int

    def read_pixels(self) -> NDArray[np.uint8]:
        """As uint8 [H, W, 3], at the size of what it shows.

        Raises:
            DataError: it is no image.
        """
        try:
            with Image.open(io.BytesIO(self.jpeg), formats=("JPEG",)) as picture:
                return np.asarray(picture.resize((self.width, self.height)))
        except (OSError, ValueError) as error:
            raise DataError(f"its small copy cannot be read: {error}") from None


def small(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Of an image uint8 [H, W, 3]."""
    picture = Image.fromarray(pixels)
    width, height = picture.size
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return Thumbnail(jpeg=stream.getvalue(), width=width, height=height)
