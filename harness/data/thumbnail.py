"""Thumbnails of the images of a user's own Dataset, which have no file that the report could show."""

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
    """A small JPEG, and the width and height in pixels of the original image."""

    jpeg: bytes
    width: int
    height: int

    def read_pixels(self) -> NDArray[np.uint8]:
        """Decode the thumbnail and enlarge it to the original size: uint8 [H, W, 3].

        Raises:
            DataError: the JPEG cannot be decoded.
        """
        try:
            with Image.open(io.BytesIO(self.jpeg), formats=("JPEG",)) as image:
                return np.asarray(image.resize((self.width, self.height)))
        except (OSError, ValueError) as error:
            raise DataError(f"its thumbnail cannot be read: {error}") from None


def make_thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Make the thumbnail of an image, uint8 [H, W, 3]."""
    image = Image.fromarray(pixels)
    width, height = image.size
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return Thumbnail(jpeg=stream.getvalue(), width=width, height=height)
