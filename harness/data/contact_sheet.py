"""A contact sheet: images with their boxes and class names drawn on them, so that a person can see whether they fit."""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.data.annotations import Annotations
    from harness.data.open import Split

_CELL = 320  # pixels, the longer side of an image on the sheet
_MARGIN = 8
_CAPTION = 20
_FONT_SIZE = 13
_GOLDEN = 0.618034  # turn of the colour wheel from one class to the next: it keeps neighbouring classes apart
_MAX_DRAWN = 300  # characters of a text: no more fit into a sheet's cell
PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (120, 120, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetImage:
    """One image on the sheet: its split, and its number there."""

    split: str
    index: int


def choose_images(splits: dict[str, Annotations], count: int, class_name: str | None) -> tuple[SheetImage, ...]:
    """Choose up to `count` images, spread evenly over all splits.

    Args:
        splits: the annotations of each split.
        count: the largest number of images.
        class_name: choose only images that have a box of this class.

    Raises:
        UsageError: there is no such class.
        DataError: there is no such image.
    """
    candidates: list[SheetImage] = []
    class_names: dict[str, None] = {}
    for split, table in splits.items():
        class_names.update(dict.fromkeys(table.class_names))
        eligible = np.ones(len(table), dtype=np.bool_)
        if class_name is not None:
            owners = np.repeat(np.arange(len(table)), np.diff(table.offsets))
            names = np.array(table.class_names, dtype=object)
            eligible = np.isin(np.arange(len(table)), owners[names[table.labels] == class_name])
        candidates += [SheetImage(split=split, index=int(row)) for row in np.flatnonzero(eligible)]
    if class_name is not None and class_name not in class_names:
        raise UsageError(f"no class {class_name!r}; there are {', '.join(class_names)}")
    if not candidates:
        condition = f"with a box of {class_name!r}" if class_name else "that can be shown"
        raise DataError(f"no image {condition}")
    positions = np.unique(np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int))
    return tuple(candidates[position] for position in positions)


def draw_sheet(splits: dict[str, Split], images: Sequence[SheetImage]) -> bytes:
    """Draw the sheet and return it as PNG; the cell of an unreadable image shows the error message."""
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    width, height = _CELL + _MARGIN, _CELL + _CAPTION + _MARGIN
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), PAPER)
    font = ImageFont.load_default(_FONT_SIZE)
    for position, image in enumerate(images):
        left, top = _MARGIN + position % columns * width, _MARGIN + position // columns * height
        split = splits[image.split]
        pen = ImageDraw.Draw(sheet)
        caption = f"{image.split}: {split.annotations.file_names[image.index]}"
        try:
            drawing = _draw_boxes(split, image.index, font)
        except DataError as error:
            pen.text((left, top + _CAPTION), "\n".join(_wrap(str(error))), INK, font)
        else:
            sheet.paste(drawing, (left, top + _CAPTION))
        pen.text((left, top), shorten(caption, font, _CELL), FAINT, font)
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _draw_boxes(split: Split, index: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    annotations = split.annotations
    pixels = Image.fromarray(split.read_image(index))
    scale = _CELL / max(pixels.size)
    drawing = pixels.resize(
        (max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale))),
        Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST,
    )
    pen = ImageDraw.Draw(drawing)
    rows = annotations.rows(index)
    for box, label, crowd in zip(
        annotations.boxes[rows].tolist(), annotations.labels[rows].tolist(), annotations.crowds[rows], strict=True
    ):
        left, top, right, bottom = (value * scale for value in box)
        colour = class_colour(label)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
        name = annotations.class_names[label] + (" (crowd)" if crowd else "")
        draw_name_plate(pen, name, (left, top), drawing.width, colour, font)
    return drawing


def draw_name_plate(
    pen: ImageDraw.ImageDraw,
    name: str,
    corner: tuple[float, float],
    width: int,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Draw a name on a plate in its box's colour, above the box's upper left corner, or inside if there is no room.

    Args:
        pen: draws on the image.
        name: the text of the plate.
        corner: the box's upper left corner, (x, y), pixels.
        width: the image's width in pixels, which the plate stays inside.
        colour: RGB.
        font: the font of the text.
    """
    text, (left, top) = shorten(name, font, width - 4), corner
    _, _, text_width, text_height = pen.textbbox((0, 0), text, font)
    x = max(0, min(left, width - text_width - 4))
    y = top - text_height - 3 if top > text_height + 3 else top
    pen.rectangle((x, y, x + text_width + 3, y + text_height + 3), fill=colour)
    pen.text((x + 2, y), text, INK, font)


def class_colour(label: int) -> tuple[int, int, int]:
    """The colour of a class by its number: neighbouring numbers get colours that a person can tell apart."""
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.65, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Shorten a text to `width` pixels at its beginning, because file names differ at their end.

    Characters that cannot be printed become question marks.
    """
    end = text[-_MAX_DRAWN:]
    plain = "".join(c if c.isprintable() else "?" for c in end.encode("utf-8", "replace").decode())
    if len(end) == len(text) and font.getlength(plain) <= width:
        return plain
    fits, cut = 0, len(plain)  # the last characters that fit are searched by bisection: measuring a text takes time
    while cut - fits > 1:
        middle = (fits + cut) // 2
        fits, cut = (middle, cut) if font.getlength(f"…{plain[-middle:]}") <= width else (fits, middle)
    return f"…{plain[-fits:]}" if fits else "…"


def _wrap(text: str) -> list[str]:
    return [text[start : start + 42] for start in range(0, min(len(text), 420), 42)]
