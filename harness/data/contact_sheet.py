"""A contact sheet: some images with their boxes and class names drawn, so that a person sees whether they fit."""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.data.annotations import Annotations
    from harness.data.open import Split

_CELL = 320  # pixels, the longer side of a picture
_MARGIN = 8
_CAPTION = 20
_FONT_SIZE = 13
_GOLDEN = 0.618034  # turns of the colour wheel that keep neighbours apart
PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (120, 120, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One image of a split for the sheet."""

    split: str
    index: int


def choose(splits: dict[str, Annotations], count: int, class_name: str | None) -> tuple[Chosen, ...]:
    """Images spread evenly over all splits; with `class_name` only those that have a box of it.

    Raises:
        DataError: there is no such class, or no such image.
    """
    candidates: list[Chosen] = []
    known: dict[str, None] = {}
    for split, columns in splits.items():
        known.update(dict.fromkeys(columns.class_names))
        wanted = np.ones(len(columns), dtype=np.bool_)
        if class_name is not None:
            owners = np.repeat(np.arange(len(columns)), np.diff(columns.offsets))
            names = np.array(columns.class_names, dtype=object)
            wanted = np.isin(np.arange(len(columns)), owners[names[columns.labels] == class_name])
        candidates += [Chosen(split=split, index=int(row)) for row in np.flatnonzero(wanted)]
    if class_name is not None and class_name not in known:
        raise DataError(f"no class {class_name!r}; there are {', '.join(known)}")
    if not candidates:
        what = f"with a box of {class_name!r}" if class_name else "that can be shown"
        raise DataError(f"no image {what}")
    places = np.unique(np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int))
    return tuple(candidates[place] for place in places)


def draw_sheet(splits: dict[str, Split], chosen: Sequence[Chosen]) -> bytes:
    """The sheet as PNG; an image that cannot be read leaves its reason in its cell."""
    columns = int(np.ceil(np.sqrt(len(chosen))))
    rows = -(-len(chosen) // columns)
    width, height = _CELL + _MARGIN, _CELL + _CAPTION + _MARGIN
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), PAPER)
    font = ImageFont.load_default(_FONT_SIZE)
    for place, one in enumerate(chosen):
        left, top = _MARGIN + place % columns * width, _MARGIN + place // columns * height
        split = splits[one.split]
        pen = ImageDraw.Draw(sheet)
        caption = f"{one.split}: {split.annotations.file_names[one.index]}"
        try:
            picture = _with_boxes(split, one.index, font)
        except DataError as error:
            pen.text((left, top + _CAPTION), "\n".join(_wrapped(str(error))), INK, font)
        else:
            sheet.paste(picture, (left, top + _CAPTION))
        pen.text((left, top), shortened(caption, font, _CELL), FAINT, font)
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _with_boxes(split: Split, index: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    annotations = split.annotations
    pixels = Image.fromarray(split.read_image(index))
    scale = _CELL / max(pixels.size)
    picture = pixels.resize(
        (max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale))),
        Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST,
    )
    pen = ImageDraw.Draw(picture)
    inside = annotations.rows(index)
    for box, label, crowd in zip(
        annotations.boxes[inside].tolist(), annotations.labels[inside].tolist(), annotations.crowds[inside], strict=True
    ):
        left, top, right, bottom = (value * scale for value in box)
        colour = _colour(label)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
        name = annotations.class_names[label] + (" (crowd)" if crowd else "")
        plate(pen, name, (left, top), picture.width, colour, font)
    return picture


def plate(
    pen: ImageDraw.ImageDraw,
    name: str,
    corner: tuple[float, float],
    width: int,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """A name on its box's colour: above the box's upper left corner, or inside where there is no room.

    Args:
        width: of the picture, which the plate stays inside.
    """
    text, (left, top) = shortened(name, font, width - 4), corner
    _, _, text_width, text_height = pen.textbbox((0, 0), text, font)
    x = max(0, min(left, width - text_width - 4))
    y = top - text_height - 3 if top > text_height + 3 else top
    pen.rectangle((x, y, x + text_width + 3, y + text_height + 3), fill=colour)
    pen.text((x + 2, y), text, INK, font)


def _colour(label: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.65, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """What fits, its end kept: that is where file names differ. Only what the font may hold."""
    plain = "".join(c if c.isprintable() else "?" for c in text.encode("utf-8", "replace").decode())
    if font.getlength(plain) <= width:
        return plain
    while plain and font.getlength(f"…{plain}") > width:
        plain = plain[1:]
    return f"…{plain}"


def _wrapped(text: str) -> list[str]:
    return [text[start : start + 42] for start in range(0, min(len(text), 420), 42)]
