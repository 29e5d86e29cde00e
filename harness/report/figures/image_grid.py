"""Sheets of evaluated images: the labelled boxes and the detections of each architecture, side by side.

A detection that is correct at IoU 0.50 is green, a wrong one is red, a missed object is orange. Only detections at or
above each class's best threshold are shown. A sheet is made smaller until it fits the size that the page allows.
Where names would hide a crowded image, classes are numbers, which the first lines explain; right detections have none.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.analysis.detections.matching import find_overlaps, match
from harness.analysis.detections.thresholds import reach_threshold
from harness.data.contact_sheet import FAINT, INK, PAPER, draw_name_plate, shorten
from harness.data.open import open_synthetic
from harness.data.pixels import read_pixels
from harness.errors import DataError
from harness.formatting import short_name
from harness.store.paths import stored
from harness.store.tables import read_thumbnails
from harness.suite.schema import PythonDataset, SyntheticDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from harness.store.arrays import StoredDetections, StoredGroundTruth
    from harness.store.paths import ResultFolder
    from harness.store.record import Record

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

log = logging.getLogger(__name__)

_SIDES = (240, 200, 170, 140, 110, 80, 56, 40)  # the longer side of a picture in pixels; the first that fits is used
_QUALITY = 82
_MARGIN, _CAPTION = 6, 16
_MAX_COVERED = 0.12  # of a picture by names
_MAX_MEASURED = 100  # characters: a longer name is as wide as the picture in any case
LABELLED, CORRECT, WRONG, MISSED = (64, 156, 255), (40, 200, 80), (255, 60, 60), (255, 165, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetections:
    """What one architecture detects at its best thresholds.

    Attributes:
        name: the name of the architecture.
        detections: the D detections at or above their class's threshold.
        correct: bool [D], which of them match a box.
        matched: bool [G], which ground-truth boxes are matched.
    """

    name: str
    detections: StoredDetections
    correct: NDArray[np.bool_]
    matched: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """A photograph, reduced to the size at which it is drawn, and the longer side of the original, in pixels."""

    image: Image.Image
    original_side: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """A box to draw, in pixels of the original; `number` is that of its class, None for a missed object."""

    corners: tuple[float, ...]
    text: str
    colour: tuple[int, int, int]
    number: int | None = None


def match_image(
    name: str, ground_truth: StoredGroundTruth, detections: StoredDetections, thresholds: NDArray[np.float64]
) -> ImageDetections:
    """Keep the detections that reach their class's threshold, and match them with the ground truth."""
    kept = detections.take(reach_threshold(detections, thresholds))
    matches = match(ground_truth, kept, find_overlaps(ground_truth, kept))
    counted = matches.ignored & 1 == 0
    matched = np.zeros(len(ground_truth.boxes), dtype=np.bool_)
    matched[matches.boxes[matches.boxes >= 0]] = True
    return ImageDetections(
        name=name,
        detections=kept.take(counted),
        correct=matches.true[counted] & 1 != 0,
        matched=matched,
    )


def reader(folder: ResultFolder, record: Record, ground_truth: StoredGroundTruth) -> Callable[[int], NDArray[np.uint8]]:
    """Return a function that reads an evaluated image by its number, as uint8 [H, W, 3], or raises DataError.

    Args:
        folder: the trial's folder, which holds small copies of images that are not files.
        record: the trial's record.
        ground_truth: the trial's ground truth, which names the images.
    """
    source = record.trial.dataset.source
    if isinstance(source, SyntheticDataset):
        return open_synthetic(source, record.metrics.split).read_image
    thumbnails = read_thumbnails(stored(folder.ground_truth).read_bytes()) if isinstance(source, PythonDataset) else {}

    def read(index: int) -> NDArray[np.uint8]:
        path, name = ground_truth.files[index], ground_truth.images[index]
        if path is not None:
            return read_pixels(path)
        if name not in thumbnails:
            raise DataError("its pixels come from the Dataset's own code, and no copy is stored")
        return thumbnails[name].read_pixels()

    return read


def sheet(
    images: Sequence[int],
    ground_truth: StoredGroundTruth,
    architectures: Sequence[ImageDetections],
    read: Callable[[int], NDArray[np.uint8]],
    *,
    max_bytes: int,
) -> bytes | None:
    """Return a JPEG with a row for each image: labelled boxes, then each architecture; None if no image is readable.

    Args:
        images: the numbers of the images.
        ground_truth: the labelled boxes.
        architectures: what each architecture detects.
        read: reads an image by its number.
        max_bytes: the size that the JPEG may have, unless even the smallest pictures need more.
    """
    pictures: dict[int, _Picture] = {}
    for index in images:
        try:
            pictures[index] = _reduce(Image.fromarray(read(index)))
        except DataError as error:
            log.info("%s is left out of a picture: %s", ground_truth.images[index], error)
    if not pictures:
        return None
    data = b""
    for side in _SIDES:
        data = _encode(_sheet(pictures, ground_truth, architectures, side))
        if len(data) <= max_bytes:
            break
    return data


def _reduce(image: Image.Image) -> _Picture:
    original_side = max(image.size)
    image.thumbnail((_SIDES[0], _SIDES[0]), Image.Resampling.LANCZOS)
    return _Picture(image=image, original_side=original_side)


def _encode(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return stream.getvalue()


def _sheet(
    pictures: dict[int, _Picture], ground_truth: StoredGroundTruth, architectures: Sequence[ImageDetections], side: int
) -> Image.Image:
    font = ImageFont.load_default(max(9, side // 18))
    width, height = side + _MARGIN, side + _CAPTION + _MARGIN
    heads = ("labelled", *(architecture.name for architecture in architectures))
    rows, shown = [], set[int]()
    for index, picture in pictures.items():
        columns = [_labelled_boxes(ground_truth, index)]
        columns += [_detected_boxes(ground_truth, architecture, index) for architecture in architectures]
        if any(_crowded(picture, boxes, font, side) for boxes in columns):
            columns = [[_numbered(box) for box in boxes] for boxes in columns]
            shown |= {box.number for boxes in columns for box in boxes if box.text and box.number is not None}
        rows.append((index, picture, columns))
    legend = _legend(sorted(shown), ground_truth.class_names, font, width * len(heads) - _MARGIN)
    top = _CAPTION + _MARGIN + _CAPTION * len(legend)
    sheet = Image.new("RGB", (width * len(heads) + _MARGIN, top + height * len(rows)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(legend):
        pen.text((_MARGIN, 4 + number * _CAPTION), line, INK, font)
    for column, head in enumerate(heads):
        pen.text((_MARGIN + column * width, 4 + _CAPTION * len(legend)), shorten(head, font, side), INK, font)
    for index, picture, columns in rows:
        pen.text((_MARGIN, top), shorten(ground_truth.images[index], font, side), FAINT, font)
        for column, boxes in enumerate(columns):
            drawn = _with_boxes(picture, boxes, side, font)
            sheet.paste(drawn, (_MARGIN + column * width, top + _CAPTION))
        top += height
    return sheet


def _crowded(picture: _Picture, boxes: Sequence[_Box], font: _Font, side: int) -> bool:
    """Whether the names of the boxes would cover more of the picture than may be hidden."""
    width, height = (length * side / max(picture.image.size) for length in picture.image.size)
    covered = sum(min(width, font.getlength(box.text[:_MAX_MEASURED])) for box in boxes) * _line_height(font)
    return covered > _MAX_COVERED * width * height


def _line_height(font: _Font) -> float:
    _, top, _, bottom = font.getbbox("Ag")
    return bottom - top


def _legend(numbers: Sequence[int], class_names: Sequence[str], font: _Font, width: float) -> list[str]:
    """Return the lines that say which class each of these numbers stands for; none if there are none."""
    lines: list[str] = []
    for number in numbers:
        word = f"{number + 1} {short_name(class_names[number], 24)}"
        if lines and font.getlength(f"{lines[-1]}, {word}") <= width:
            lines[-1] += f", {word}"
        else:
            lines.append(shorten(word, font, width))
    return lines


def _numbered(box: _Box) -> _Box:
    """Return the box with the number of its class in place of a name; without one where it is right."""
    return replace(box, text="" if box.number is None or box.colour == CORRECT else str(box.number + 1))


def _labelled_boxes(ground_truth: StoredGroundTruth, index: int) -> list[_Box]:
    return [
        _Box(
            corners=tuple(ground_truth.boxes[box]),
            text=ground_truth.class_names[ground_truth.classes[box]] + (" (crowd)" if ground_truth.crowds[box] else ""),
            colour=LABELLED,
            number=int(ground_truth.classes[box]),
        )
        for box in range(ground_truth.offsets[index], ground_truth.offsets[index + 1])
    ]


def _detected_boxes(ground_truth: StoredGroundTruth, architecture: ImageDetections, index: int) -> list[_Box]:
    """Return the missed objects first, then the detections by rising score, so that the best one is drawn on top."""
    boxes = [
        _Box(corners=tuple(ground_truth.boxes[box]), text="", colour=MISSED)
        for box in range(ground_truth.offsets[index], ground_truth.offsets[index + 1])
        if not architecture.matched[box] and not ground_truth.crowds[box]
    ]
    detections = architecture.detections
    boxes += [
        _Box(
            corners=tuple(detections.boxes[row]),
            text=f"{ground_truth.class_names[detections.classes[row]]} {detections.scores[row]:.2f}",
            colour=CORRECT if architecture.correct[row] else WRONG,
            number=int(detections.classes[row]),
        )
        for row in np.flatnonzero(detections.images == index)[::-1]
    ]
    return boxes


def _with_boxes(picture: _Picture, boxes: Sequence[_Box], side: int, font: _Font) -> Image.Image:
    zoom = side / max(picture.image.size)
    size = max(1, round(picture.image.width * zoom)), max(1, round(picture.image.height * zoom))
    drawn = picture.image.resize(size, Image.Resampling.LANCZOS if zoom < 1 else Image.Resampling.BILINEAR)
    scale = side / picture.original_side  # of boxes, which are in pixels of the original
    pen = ImageDraw.Draw(drawn)
    for box in boxes:
        left, top, right, bottom = (value * scale for value in box.corners)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=box.colour, width=2)
    for box in boxes:  # after all boxes, so that no line crosses a name
        if box.text:
            corner = (box.corners[0] * scale, box.corners[1] * scale)
            draw_name_plate(pen, box.text, corner, drawn.width, box.colour, font)
    return drawn
