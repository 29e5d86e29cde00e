"""Pictures of evaluated images: what is labelled, and what each architecture found, side by side.

A detection that is right at IoU 0.50 is green, a wrong one red; an object that was missed is orange. Detections are
those at each class' best threshold. A sheet is made smaller until it fits its share of the page.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.analysis.detections.matching import match, overlaps
from harness.analysis.detections.thresholds import kept
from harness.data.contact_sheet import FAINT, INK, PAPER, draw_name_plate, shorten
from harness.data.images import read_pixels
from harness.data.open import open_synthetic
from harness.errors import DataError
from harness.store.paths import stored
from harness.store.tables import read_thumbnails
from harness.suite.schema import PythonDataset, SyntheticDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from harness.store.paths import ResultFolder
    from harness.store.record import Record
    from harness.store.tables import StoredDetections, StoredGroundTruth

log = logging.getLogger(__name__)

_SIDES = (240, 200, 170, 140, 110, 80, 56, 40)  # pixels of a picture's longer side
_QUALITY = 82
_MARGIN, _CAPTION = 6, 16
LABELLED, RIGHT, WRONG, MISSED = (64, 156, 255), (40, 200, 80), (255, 60, 60), (255, 165, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetections:
    """What one architecture shows at its best thresholds: its detections, whether each is right, which boxes it missed.

    Attributes:
        detections: only those shown.
        right: bool [D].
        found: bool [G].
    """

    name: str
    detections: StoredDetections
    right: NDArray[np.bool_]
    found: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """A photograph no larger than it will be drawn; `longer` is its longer side before, which boxes are given in."""

    image: Image.Image
    longer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    corners: tuple[float, ...]
    text: str
    colour: tuple[int, int, int]


def match_image(
    name: str, labels: StoredGroundTruth, detections: StoredDetections, thresholds: NDArray[np.float64]
) -> ImageDetections:
    """What is shown of the detections, and what is right in it."""
    shown = detections.take(kept(detections, thresholds))
    matches = match(labels, shown, overlaps(labels, shown))
    shown_at_all = matches.ignored & 1 == 0
    found = np.zeros(len(labels.boxes), dtype=np.bool_)
    found[matches.found[matches.found >= 0]] = True
    return ImageDetections(
        name=name,
        detections=shown.take(shown_at_all),
        right=matches.true[shown_at_all] & 1 != 0,
        found=found,
    )


def reader(folder: ResultFolder, record: Record, labels: StoredGroundTruth) -> Callable[[int], NDArray[np.uint8]]:
    """Reads evaluated images by their number, as uint8 [H, W, 3]; the function raises DataError where it cannot.

    Args:
        folder: the trial's, which holds small copies of images that lie in no file.
        labels: of the trial.
    """
    source = record.trial.dataset.source
    if isinstance(source, SyntheticDataset):
        return open_synthetic(source, record.metrics.split).read_image
    thumbnails = read_thumbnails(stored(folder.ground_truth).read_bytes()) if isinstance(source, PythonDataset) else {}

    def read(index: int) -> NDArray[np.uint8]:
        path, name = labels.files[index], labels.images[index]
        if path is not None:
            return read_pixels(path)
        if name not in thumbnails:
            raise DataError("only the Dataset's own code knows its pixels")
        return thumbnails[name].read_pixels()

    return read


def sheet(
    images: Sequence[int],
    labels: StoredGroundTruth,
    architectures: Sequence[ImageDetections],
    read: Callable[[int], NDArray[np.uint8]],
    *,
    max_bytes: int,
) -> bytes | None:
    """A JPEG: a row an image, the labels first, then each architecture; None where no image can be read."""
    pixels: dict[int, _Picture] = {}
    for index in images:
        try:
            pixels[index] = _reduced(Image.fromarray(read(index)))
        except DataError as error:
            log.info("%s is left out of a picture: %s", labels.images[index], error)
    if not pixels:
        return None
    data = b""
    for side in _SIDES:
        data = _encoded(_sheet(pixels, labels, architectures, side))
        if len(data) <= max_bytes:
            break
    return data


def _reduced(image: Image.Image) -> _Picture:
    longer = max(image.size)
    image.thumbnail((_SIDES[0], _SIDES[0]), Image.Resampling.LANCZOS)
    return _Picture(image=image, longer=longer)


def _encoded(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return stream.getvalue()


def _sheet(
    pixels: dict[int, _Picture], labels: StoredGroundTruth, architectures: Sequence[ImageDetections], side: int
) -> Image.Image:
    font = ImageFont.load_default(max(9, side // 18))
    width, height = side + _MARGIN, side + _CAPTION + _MARGIN
    heads = ("labelled", *(seen.name for seen in architectures))
    whole = Image.new("RGB", (width * len(heads) + _MARGIN, height * len(pixels) + _CAPTION + _MARGIN), PAPER)
    pen = ImageDraw.Draw(whole)
    for column, head in enumerate(heads):
        pen.text((_MARGIN + column * width, 4), shorten(head, font, side), INK, font)
    for row, (index, picture) in enumerate(pixels.items()):
        top = _CAPTION + _MARGIN + row * height
        pen.text((_MARGIN, top), shorten(labels.images[index], font, side), FAINT, font)
        for column, boxes in enumerate(
            (_labelled(labels, index), *(_seen(labels, one, index) for one in architectures))
        ):
            drawn = _with_boxes(picture, boxes, side, font)
            whole.paste(drawn, (_MARGIN + column * width, top + _CAPTION))
    return whole


def _labelled(labels: StoredGroundTruth, index: int) -> list[_Box]:
    return [
        _Box(
            corners=tuple(labels.boxes[box]),
            text=labels.class_names[labels.classes[box]] + (" (crowd)" if labels.crowds[box] else ""),
            colour=LABELLED,
        )
        for box in range(labels.offsets[index], labels.offsets[index + 1])
    ]


def _seen(labels: StoredGroundTruth, seen: ImageDetections, index: int) -> list[_Box]:
    """Missed objects below, then what was found, the best on top."""
    boxes = [
        _Box(corners=tuple(labels.boxes[box]), text="", colour=MISSED)
        for box in range(labels.offsets[index], labels.offsets[index + 1])
        if not seen.found[box] and not labels.crowds[box]
    ]
    found = seen.detections
    boxes += [
        _Box(
            corners=tuple(found.boxes[row]),
            text=f"{labels.class_names[found.classes[row]]} {found.scores[row]:.2f}",
            colour=RIGHT if seen.right[row] else WRONG,
        )
        for row in np.flatnonzero(found.images == index)[::-1]
    ]
    return boxes


def _with_boxes(
    picture: _Picture, boxes: Sequence[_Box], side: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> Image.Image:
    own = side / max(picture.image.size)
    shape = max(1, round(picture.image.width * own)), max(1, round(picture.image.height * own))
    drawn = picture.image.resize(shape, Image.Resampling.LANCZOS if own < 1 else Image.Resampling.BILINEAR)
    scale = side / picture.longer
    pen = ImageDraw.Draw(drawn)
    for box in boxes:
        left, top, right, bottom = (value * scale for value in box.corners)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=box.colour, width=2)
    for box in boxes:  # after all of them, so that no line crosses a name
        if box.text:
            corner = (box.corners[0] * scale, box.corners[1] * scale)
            draw_name_plate(pen, box.text, corner, drawn.width, box.colour, font)
    return drawn
