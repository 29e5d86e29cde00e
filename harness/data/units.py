"""Find boxes that are written in another unit or order than their format has, and read them as they are meant.

A file whose boxes are fractions, or whose sizes are corners, holds sound boxes that mean something else. One box seldom
shows it, so all boxes of a file are judged together, and told as one error of that file. Reading them as they are meant
keeps that error from a thousand others that follow from it. Percentages in place of pixels cannot be told from pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.raw import RawAnnotations

_NEARLY_ALL = 0.95
_ONE = 1.001  # 1, and what rounding adds to it
_SURELY_PIXELS = 2.0  # no fraction is as large as this
_FEW = 0.05  # of the boxes; fewer that are wrong are told one by one
_MANY = 0.25  # of the boxes, which leave their image in a wrong order but not by a slip of the mouse
_FAR = 0.05  # of the image's side: nobody draws so far over the border that many boxes exceed it
_FAR_OF_BOX = 0.2  # of the box's own side, likewise
_SWAPPED = 0.1  # of the boxes
_AT_LEAST = 2  # boxes; one alone may be a slip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The boxes as columns [N], and how far each may reach.

    Attributes:
        left, top, right, bottom: the edges, in pixels or in fractions.
        width, height: the sides.
        limit_x, limit_y: the sides of the image in the same unit; 0 where unknown.
        slack: by how much a box may exceed them.
    """

    left: NDArray[np.float64]
    top: NDArray[np.float64]
    right: NDArray[np.float64]
    bottom: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    limit_x: NDArray[np.float64]
    limit_y: NDArray[np.float64]
    slack: NDArray[np.float64]

    def fit(self, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether each of other boxes [4, N] has an area and lies in its image."""
        left, top, right, bottom = boxes
        ends = (right <= self.limit_x + self.slack) & (bottom <= self.limit_y + self.slack)
        fit: NDArray[np.bool_] = (right > left) & (bottom > top) & (left >= -self.slack) & (top >= -self.slack) & ends
        return fit


def as_meant(
    raw: RawAnnotations, sizes: NDArray[np.int32], *, file: Path, normalised: bool, findings: Findings
) -> RawAnnotations:
    """Return the boxes in the unit and order in which they are evidently written.

    Args:
        raw: boxes as read by the definition of their format.
        sizes: int32 [I, 2], (width, height) of the image files; 0 where unknown.
        file: the annotation file or folder, as the place of what is found.
        normalised: whether the user says that the boxes are fractions of their image's sides.
        findings: receives one error for each file of another unit or order than its format (or the user) says.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        raw = _said_to_be_fractions(raw, file, findings) if normalised else _found_to_be_fractions(raw, file, findings)
        columns = _columns(raw, sizes)
        if not raw.written_as_sizes:
            return _sizes_for_corners(raw, columns, str(file), findings)
        # Large boxes may fit both; a corner is the likelier slip where the format has the centre.
        readings = (_corner_or_centre, _corners_for_sizes) if raw.centred else (_corners_for_sizes, _corner_or_centre)
        others = (read(raw, columns, str(file), findings) for read in readings)
        return next((other for other in others if other is not raw), raw)


def _as_fractions(raw: RawAnnotations, rows: NDArray[np.bool_]) -> RawAnnotations:
    """Return the boxes with those of `rows` as fractions; a declared area in fractions means nothing."""
    return replace(raw, fractional=raw.fractional | rows, areas=np.where(rows, np.nan, raw.areas))


def _said_to_be_fractions(raw: RawAnnotations, file: Path, findings: Findings) -> RawAnnotations:
    left, top, right, bottom = np.ascontiguousarray(raw.boxes.T)
    sides = np.minimum(right - left, bottom - top)
    in_pixels = (np.maximum(right, bottom) >= _SURELY_PIXELS) & (sides >= 1) & np.isfinite(right + bottom)
    if in_pixels.sum() <= _FEW * len(in_pixels):
        in_pixels[:] = False
    elif in_pixels.any():
        detail = f"{in_pixels.sum():,} of {len(in_pixels):,} boxes have values of 2 and more; {_first(raw, in_pixels)}"
        findings.add("boxes_in_pixels", Place(file=str(file), detail=detail))
    return _as_fractions(raw, ~in_pixels)


def _found_to_be_fractions(raw: RawAnnotations, file: Path, findings: Findings) -> RawAnnotations:
    """Find files with boxes in fractions: all files at once or, if each image has its own, file by file."""
    left, top, right, bottom = np.ascontiguousarray(raw.boxes.T)
    width, height = right - left, bottom - top
    judged = ~raw.fractional & (width > 0) & (height > 0) & np.isfinite(width + height)
    narrow = judged & (width <= _ONE) & (height <= _ONE)
    if not narrow.any():
        return raw
    within = narrow & (np.maximum(left, top) <= _ONE) & (np.minimum(left, top) >= -_ONE / 2)
    if not raw.written_as_sizes:
        within &= np.maximum(right, bottom) <= _ONE

    def in_fractions(rows: NDArray[np.bool_]) -> bool:
        count = np.count_nonzero(judged & rows)
        return bool(count) and not (judged & rows & ~narrow).any() and (within & rows).sum() >= _NEARLY_ALL * count

    everything = np.ones(len(judged), dtype=np.bool_)
    parts = [(str(file), everything)] if in_fractions(everything) else []
    if not parts and len(raw.box_files) > 1:
        # A box from 0 to 1 alone in its file may be a pixel.
        broken = within & (raw.boxes % 1 != 0).any(axis=1)
        names = np.array(raw.box_files)[raw.owners]
        candidates = dict.fromkeys(names[broken].tolist()) if len(set(raw.box_files)) > 1 else {}
        parts = [(name, rows) for name in candidates if in_fractions(rows := names == name)]
    for name, rows in parts:
        detail = f"{(within & rows).sum():,} of {(judged & rows).sum():,} boxes lie within 0–1; {_first(raw, rows)}"
        findings.add("boxes_in_fractions", Place(file=name, detail=detail))
        raw = _as_fractions(raw, rows)
    return raw


def _corners_for_sizes(raw: RawAnnotations, columns: _Columns, file: str, findings: Findings) -> RawAnnotations:
    """Find two corners in the place of a corner (or centre), a width and a height."""
    c = columns
    known = _is_known(c)
    far_x, far_y = _FAR * c.limit_x + c.slack, _FAR * c.limit_y + c.slack
    leaves = (c.left < -far_x) | (c.top < -far_y) | (c.right > c.limit_x + far_x) | (c.bottom > c.limit_y + far_y)
    leaves &= known
    count, far = np.count_nonzero(known), np.count_nonzero(leaves)
    if far < max(_AT_LEAST, _MANY * count):
        return raw
    x, y = (c.left + c.width / 2, c.top + c.height / 2) if raw.centred else (c.left, c.top)
    boxes = np.stack((x, y, c.width, c.height))
    inside = np.count_nonzero(known & c.fit(boxes))
    if inside < _NEARLY_ALL * count:
        return raw
    detail = (
        f"{far:,} of {count:,} boxes leave their image if their numbers are a {_point(raw)}, a width and a height; "
    )
    detail += f"as two corners {inside:,} lie inside; {_first(raw, leaves)}"
    findings.add("corners_as_sizes", Place(file=file, detail=detail))
    return replace(raw, boxes=boxes.T)


def _corner_or_centre(raw: RawAnnotations, columns: _Columns, file: str, findings: Findings) -> RawAnnotations:
    """Find a centre in the place of a corner, whose boxes leave their image at its end; or a corner for a centre."""
    c = columns
    known = _is_known(c)
    over_x, over_y = (-c.left, -c.top) if raw.centred else (c.right - c.limit_x, c.bottom - c.limit_y)
    leaves = (over_x > _FAR_OF_BOX * c.width + c.slack) | (over_y > _FAR_OF_BOX * c.height + c.slack)
    leaves &= known
    count, far = np.count_nonzero(known), np.count_nonzero(leaves)
    if far < max(_AT_LEAST, _FEW * count):
        return raw
    x, y = (c.width / 2, c.height / 2) if raw.centred else (-c.width / 2, -c.height / 2)
    boxes = np.stack((c.left + x, c.top + y, c.right + x, c.bottom + y))
    if (known & ~c.fit(boxes)).any():
        return raw
    other = "corner" if raw.centred else "centre"
    detail = f"{far:,} of {count:,} boxes leave their image if x and y are the {_point(raw)}; if they are the {other}, "
    detail += f"all lie inside; {_first(raw, leaves)}"
    findings.add("corner_or_centre", Place(file=file, detail=detail))
    return replace(raw, boxes=boxes.T)


def _sizes_for_corners(raw: RawAnnotations, columns: _Columns, file: str, findings: Findings) -> RawAnnotations:
    """Find a width and a height in the place of the second corner."""
    c = columns
    swapped = (c.width < 0) | (c.height < 0)
    count, wrong = len(swapped), np.count_nonzero(swapped)
    if wrong < max(_AT_LEAST, _SWAPPED * count):
        return raw
    boxes = np.stack((c.left, c.top, c.left + c.right, c.top + c.bottom))
    inside = np.count_nonzero(c.fit(boxes))
    if inside < _NEARLY_ALL * count:
        return raw
    detail = (
        f"{wrong:,} of {count:,} boxes have swapped corners; as a corner, a width and a height {inside:,} lie inside "
    )
    detail += f"their image; {_first(raw, swapped)}"
    findings.add("sizes_as_corners", Place(file=file, detail=detail))
    return replace(raw, boxes=boxes.T)


def _columns(raw: RawAnnotations, sizes: NDArray[np.int32]) -> _Columns:
    left, top, right, bottom = np.ascontiguousarray(raw.boxes.T)
    limit_x, limit_y = (np.where(raw.fractional, 1.0, side[raw.owners]) for side in sizes.T)
    return _Columns(
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        width=right - left,
        height=bottom - top,
        limit_x=limit_x,
        limit_y=limit_y,
        slack=np.where(raw.fractional, 0.01, 1.0),
    )


def _is_known(columns: _Columns) -> NDArray[np.bool_]:
    """Return whether each box has an area, and an image of known size."""
    c = columns
    known = (c.width > 0) & (c.height > 0) & (c.limit_x > 0) & (c.limit_y > 0)
    return known & np.isfinite(c.left + c.top + c.right + c.bottom)


def _point(raw: RawAnnotations) -> str:
    return "centre" if raw.centred else "corner"


def _first(raw: RawAnnotations, rows: NDArray[np.bool_]) -> str:
    """Return words that show the first of some boxes: its image, and its four numbers as the file states them."""
    row = int(np.argmax(rows))
    left, top, right, bottom = values = raw.boxes[row].tolist()
    if raw.written_as_sizes:
        width, height = right - left, bottom - top
        values = [left, top, width, height]
        if raw.centred:
            values[:2] = left + width / 2, top + height / 2
    return f"the first: {raw.names[raw.owners[row]]}: [{', '.join(f'{value:.6g}' for value in values)}]"
