"""Detections drawn on a copy of their image: a box, and a plate with the name of the class and the score."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from harness.data.contact_sheet import class_colour, draw_name_plate
from harness.data.image_names import is_jpeg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_QUALITY = 92
_FONTS_ACROSS, _LINES_ACROSS = 55, 400  # the longer side, in heights of letters and in widths of a box's line
_MIN_FONT = 11  # pixels


def draw_detections(
    pixels: NDArray[np.uint8], boxes: Sequence[Sequence[float]], texts: Sequence[str], labels: Sequence[int]
) -> Image.Image:
    """Draw boxes on a copy of an image; the last ones first, so that the best is on top.

    Args:
        pixels: uint8 [H, W, 3].
        boxes: xyxy in pixels, one for each text.
        texts: what stands on the plate of each box.
        labels: class numbers from 1; each has a colour.
    """
    drawing = Image.fromarray(pixels)
    side = max(drawing.size)
    font = ImageFont.load_default(max(_MIN_FONT, side // _FONTS_ACROSS))
    width = max(1, round(side / _LINES_ACROSS))
    pen = ImageDraw.Draw(drawing)
    for (left, top, right, bottom), text, label in reversed(list(zip(boxes, texts, labels, strict=True))):
        colour = class_colour(label - 1)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=width)
        draw_name_plate(pen, text, (left, top), drawing.width, colour, font)
    return drawing


def encode(drawing: Image.Image, suffix: str) -> bytes:
    """The content of an image file: a JPEG for `.jpg` and its other spellings, else a PNG."""
    stream = io.BytesIO()
    if is_jpeg(suffix):
        drawing.save(stream, "JPEG", quality=_QUALITY)
    else:
        drawing.save(stream, "PNG")
    return stream.getvalue()
