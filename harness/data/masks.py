"""The masks of labelled objects: which pixels of an image each one covers. For detectors that train from masks.

Owns which labels have masks, and drawing them. They are read by a trial that needs them, and by nothing else: labels
are read as boxes everywhere, and the outlines of a large dataset take more memory than all the rest of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from harness.data.formats.coco_segmentation import (
    SegmentationError,
    filled,
    polygons_of,
    read_segmentations,
)
from harness.data.formats.source import UnreadableError
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.data.loaded import LoadedDataset, LoadedSplit
    from harness.data.synthetic import SyntheticSplit

WITH_MASKS = ("coco",)  # formats; the polygons of others are read as their bounds
_TRAINED = ("train", "val")  # splits of which a loss is computed
_ADVICE = "give COCO labels with a segmentation for each box"


class Masks(Protocol):
    """The masks of a split's objects."""

    def __call__(self, index: int) -> NDArray[np.uint8]:
        """Draw the masks of the objects of image `index`, in the order of its boxes: 0 or 1, [N, H, W].

        Raises:
            DataError: an outline cannot be used.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlines:
    """The masks of a COCO file.

    Attributes:
        split: whose boxes they are of.
        segmentations: the JSON of each box's outline; empty where it has none.
    """

    split: LoadedSplit
    segmentations: tuple[bytes, ...]

    def __call__(self, index: int) -> NDArray[np.uint8]:
        annotations = self.split.annotations
        rows = annotations.rows(index)
        width, height = annotations.sizes[index].tolist()
        masks = np.zeros((rows.stop - rows.start, height, width), dtype=np.uint8)
        for mask, row in zip(masks, range(rows.start, rows.stop), strict=True):
            try:
                mask[:] = self._mask(row, width, height)
            except SegmentationError as error:
                if not annotations.crowds[row]:
                    raise DataError(f"{self._place(row)}: {error}") from None
        return masks

    def problems(self) -> Iterator[str]:
        """Say of each box without an outline where it is; crowd regions, which train nothing, need none."""
        for row in np.flatnonzero(~self.split.annotations.crowds).tolist():
            try:
                _outline(self.segmentations[row])
            except SegmentationError as error:
                yield f"{self._place(row)}: {error}"

    def _mask(self, row: int, width: int, height: int) -> NDArray[np.uint8]:
        outline = _outline(self.segmentations[row])
        return polygons_mask(outline, width, height) if isinstance(outline, list) else filled(outline, width, height)

    def _place(self, row: int) -> str:
        return str(self.split.raw.box_place(int(self.split.box_rows[row])))


def _outline(segmentation: bytes) -> list[list[float]] | dict[str, object]:
    """The polygons or the run lengths that the JSON of a segmentation holds.

    Raises:
        SegmentationError: it holds neither.
    """
    content: object = msgspec.json.decode(segmentation) if segmentation else None
    return content if isinstance(content, dict) else polygons_of(content)


def masks_of_files(loaded: LoadedDataset, name: str) -> Masks:
    """The masks of a split of labelled files.

    Raises:
        DataError: its labels have none.
    """
    return _outlines(loaded, name)


def _outlines(loaded: LoadedDataset, name: str) -> _Outlines:
    if loaded.format not in WITH_MASKS:
        raise DataError(f"{loaded.format} labels are read as boxes, without masks; {_ADVICE}")
    split = loaded.splits[name]
    raw = split.raw
    numbers = raw.numbers[split.box_rows].tolist()
    try:
        found = read_segmentations(split.source, [raw.texts.get(number, number) for number in numbers])
    except UnreadableError as error:
        raise DataError(f"{split.source}: {error}") from None
    return _Outlines(split=split, segmentations=found)


def masks_of_drawing(drawing: SyntheticSplit) -> Masks:
    """The masks of a drawn split."""

    def masks(index: int) -> NDArray[np.uint8]:
        shapes = drawing.shapes(index)
        drawn = np.zeros((len(shapes), drawing.size, drawing.size), dtype=np.uint8)
        for row, shape in enumerate(shapes):
            drawn[row] = polygons_mask([shape.outline.ravel().tolist()], drawing.size, drawing.size)
            if shape.hole is not None:
                drawn[row] &= 1 - polygons_mask([shape.hole.ravel().tolist()], drawing.size, drawing.size)
        return drawn

    return masks


def why_no_masks(loaded: LoadedDataset) -> str | None:
    """Say why a detector that trains from masks cannot train on these labels; None if it can."""
    for name in _TRAINED:
        try:
            outlines = _outlines(loaded, name)
        except DataError as error:
            return str(error)
        problems = list(outlines.problems())
        if problems:
            boxes = int((~outlines.split.annotations.crowds).sum())
            return f"{len(problems):,} of the {boxes:,} boxes of {name} have none, the first: {problems[0]}; {_ADVICE}"
    return None


def polygons_mask(polygons: list[list[float]], width: int, height: int) -> NDArray[np.uint8]:
    """Draw the pixels whose centres lie in any of the polygons: 0 or 1, [height, width].

    Args:
        polygons: each [x, y, x, y, …] in pixels, in which the first pixel reaches from 0 to 1.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    for polygon in polygons:
        mask |= _polygon_mask(np.array(polygon).reshape(-1, 2), width, height)
    return mask


def _polygon_mask(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """Draw one polygon: in each row of pixels, what lies right of an odd number of edges."""
    (x, y), (next_x, next_y) = points.T, np.roll(points, -1, axis=0).T
    middles = np.arange(height) + 0.5
    edges, rows = np.nonzero((y[:, None] <= middles) != (next_y[:, None] <= middles))
    slopes = (next_x - x)[edges] / (next_y - y)[edges]
    crossings = x[edges] + (middles[rows] - y[edges]) * slopes
    columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
    passed = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(passed, (rows, columns), 1)
    return (passed.cumsum(axis=1)[:, :width] % 2).astype(np.uint8)
