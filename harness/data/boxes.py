"""Rules that a labelled box must follow, the same for every annotation format.

An invalid box (no area, outside its image, not a number) is an error and is left out; a suspicious one (tiny, drawn
twice) is a warning and is kept. Works on arrays in pixels and opens no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.raw import RawAnnotations

_MIN_SIDE = 1e-2  # pixels inside the image: a thinner box could lose its area when it is rounded to float32
_MAX_PIXELS = 2.0**31  # assumed length of an image's side where its size is unknown
_ROUNDING = 0.5  # pixels by which a box may cross the border through rounding alone
_TINY_SIDE = 2  # pixels
_TINY_AREA = 16  # pixels²
_DUPLICATE_IOU = 0.95
_MAX_COPIES = 50  # copies of one box that are compared with each other


def valid_boxes(
    raw: RawAnnotations, sizes: NDArray[np.int32], findings: Findings
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find the valid boxes and convert them to pixels.

    Args:
        raw: boxes as read from the annotation files.
        sizes: int32 [I, 2], (width, height) of the image files; 0 where unknown.
        findings: receives one entry for every invalid box, and a warning for every clipped one.

    Returns:
        The rows of `raw` that hold a valid box, intp [K]; and those boxes clipped to their image, float64 [K, 4], xyxy,
        pixels.
    """
    width, height = (np.where(side > 0, side, _MAX_PIXELS)[raw.owners] for side in sizes.T)
    size_known = width < _MAX_PIXELS
    min_side = np.full(len(width), _MIN_SIDE)
    left, top, right, bottom = np.ascontiguousarray(raw.boxes.T)
    if raw.first_pixel:
        counted = _counted(raw)
        left, top = (np.where(counted, edge - raw.first_pixel, edge) for edge in (left, top))
    with np.errstate(invalid="ignore", over="ignore"):
        if raw.fractional.any():
            scaled = raw.fractional & size_known
            left, right = (np.where(scaled, edge * width, edge) for edge in (left, right))
            top, bottom = (np.where(scaled, edge * height, edge) for edge in (top, bottom))
            min_side[raw.fractional & ~size_known] = 0.0
        finite = np.isfinite(left + top + right + bottom)
        sides = np.minimum(right - left, bottom - top)
        clipped = [
            np.clip(left, 0, width),
            np.clip(top, 0, height),
            np.clip(right, 0, width),
            np.clip(bottom, 0, height),
        ]
        visible = np.minimum(clipped[2] - clipped[0], clipped[3] - clipped[1])
        before = np.maximum(-left, -top) - np.where(_begin_at_zero(raw), raw.first_pixel, 0)
        overhang = np.maximum(before, np.maximum(right - width, bottom - height))
    has_area = finite & (sides > 0) & (sides >= min_side)
    valid = has_area & (visible > 0) & (visible >= min_side)
    _add_findings(raw, findings, "not_a_number", ~finite)
    _add_findings(raw, findings, "degenerate_box", finite & ~has_area)
    _add_findings(raw, findings, "box_outside_image", has_area & ~valid, sizes)
    _add_findings(raw, findings, "box_crosses_border", valid & size_known & (overhang > _ROUNDING), sizes)
    rows = np.flatnonzero(valid)
    return rows, np.stack([edge[rows] for edge in clipped], axis=1)


def tell_corners_from_zero(raw: RawAnnotations, file: Path, findings: Findings) -> None:
    """Add one warning to `findings` if boxes begin at 0 in a format that counts pixels from 1.

    Args:
        raw: boxes as read from the annotation files.
        file: the annotation file or folder, as the place of the warning.
        findings: receives the warning.
    """
    rows = np.flatnonzero(_begin_at_zero(raw))
    if len(rows):
        detail = f"{len(rows):,} of {len(raw.boxes):,} boxes begin at 0; the first: {raw.box_place(int(rows[0]))}"
        findings.add("corners_from_zero", Place(file=str(file), detail=detail))


def _counted(raw: RawAnnotations) -> NDArray[np.bool_]:
    """Return which boxes count pixels from `first_pixel`; those with swapped corners are not mended."""
    left, top, right, bottom = raw.boxes.T
    counted: NDArray[np.bool_] = (right > left) & (bottom > top) & ~raw.fractional
    return counted


def _begin_at_zero(raw: RawAnnotations) -> NDArray[np.bool_]:
    """Return which boxes begin before the format's first pixel, but at an image's border if it counts from 0."""
    if not raw.first_pixel:
        return np.zeros(len(raw.boxes), dtype=np.bool_)
    begin = raw.boxes[:, :2].min(axis=1, initial=np.inf)
    at_zero: NDArray[np.bool_] = _counted(raw) & (begin >= -_ROUNDING) & (begin < raw.first_pixel - _ROUNDING)
    return at_zero


def suspicious_boxes(
    raw: RawAnnotations, rows: NDArray[np.intp], boxes: NDArray[np.float64], findings: Findings
) -> None:
    """Add a warning to `findings` for every tiny box and every box that is drawn twice.

    Args:
        raw: boxes as read from the annotation files.
        rows: [K], the rows of `raw` to inspect.
        boxes: float64 [K, 4], xyxy, pixels: the box of each of these rows.
        findings: receives the warnings.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    tiny = ((sides < _TINY_SIDE).any(axis=1) | (sides.prod(axis=1) < _TINY_AREA)) & ~raw.crowds[rows]
    findings.add_many(
        "tiny_box",
        int(tiny.sum()),
        (raw.box_place(row, f"{w:.3g} × {h:.3g} pixels") for row, (w, h) in zip(rows[tiny], sides[tiny], strict=True)),
    )
    first, second = _duplicate_pairs(raw.owners[rows] * len(raw.class_names) + raw.labels[rows], boxes)
    duplicates = np.unique(second)
    findings.add_many(
        "duplicate_box",
        len(duplicates),
        (raw.box_place(rows[row], f"as {raw.box_text(rows[first[second == row][0]])}") for row in duplicates),
    )


def _duplicate_pairs(
    groups: NDArray[np.int64], boxes: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find pairs of boxes in the same group (image and class) that overlap with IoU > 0.95.

    The boxes of a group are sorted by their left edge. Each is compared with the next one, then with the one after
    that, for as long as some pair of left edges is at most a twentieth of the first box's width apart: an IoU above
    0.95 is impossible beyond that.
    """
    order = np.lexsort((boxes[:, 0], groups))
    groups, boxes = groups[order], boxes[order]
    widths = boxes[:, 2] - boxes[:, 0]
    areas = widths * (boxes[:, 3] - boxes[:, 1])
    firsts, seconds = [], []
    left = np.arange(len(groups))
    for step in range(1, len(groups)):
        left = left[left + step < len(groups)]
        near = boxes[left + step, 0] - boxes[left, 0] <= (1 - _DUPLICATE_IOU) * widths[left]
        left = left[(groups[left] == groups[left + step]) & near]
        if not len(left) or step > _MAX_COPIES:
            break
        left_boxes, right_boxes = boxes[left], boxes[left + step]
        corners = np.maximum(left_boxes[:, :2], right_boxes[:, :2]), np.minimum(left_boxes[:, 2:], right_boxes[:, 2:])
        intersection = np.clip(corners[1] - corners[0], 0, None).prod(axis=1)
        same = intersection > _DUPLICATE_IOU * (areas[left] + areas[left + step] - intersection)
        firsts.append(left[same])
        seconds.append(left[same] + step)
    if not firsts:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    pair = np.stack((order[np.concatenate(firsts)], order[np.concatenate(seconds)]))
    return pair.min(axis=0), pair.max(axis=0)  # the later one in the file is the duplicate


def _add_findings(
    raw: RawAnnotations,
    findings: Findings,
    code: str,
    bad: NDArray[np.bool_],
    sizes: NDArray[np.int32] | None = None,
) -> None:
    rows = np.flatnonzero(bad)

    def detail(row: int) -> str:
        if sizes is None:
            return raw.box_text(row)
        width, height = sizes[raw.owners[row]]
        return f"{raw.box_text(row)} in {width} × {height}"

    findings.add_many(code, len(rows), (raw.box_place(row, detail(row)) for row in map(int, rows)))
