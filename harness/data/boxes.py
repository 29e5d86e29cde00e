"""Whether boxes are boxes: what is none is an error and left out, what is odd is a warning and kept.

Owns the rules of geometry, the same for every format; pixels, arrays, no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.data.problems import Findings
    from harness.data.raw import RawAnnotations

_MIN_SIDE = 1e-2  # pixels inside the image: what is left of a thinner box could be no box at all in float32
_MAX_PIXELS = 2.0**31  # of a side, where the image's own is not known
_ROUNDING = 0.5  # pixels over the border that come from decimals or whole pixels, not from a person
_TINY_SIDE = 2  # pixels
_TINY_AREA = 16  # pixels²
_DUPLICATE_IOU = 0.95
_MAX_COPIES = 50  # of one box that are compared with each other


def valid_boxes(
    labels: RawAnnotations, sizes: NDArray[np.int32], findings: Findings
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The rows of `labels` that are boxes, and those boxes in pixels, clipped to their image.

    Args:
        sizes: int32 [I, 2], (width, height) of the pictures themselves; 0 where unknown.
    """
    width, height = (np.where(side > 0, side, _MAX_PIXELS)[labels.owners] for side in sizes.T)
    known = width < _MAX_PIXELS
    min_side = np.full(len(width), _MIN_SIDE)
    left, top, right, bottom = np.ascontiguousarray(labels.boxes.T)
    with np.errstate(invalid="ignore", over="ignore"):
        if labels.shares.any():
            scaled = labels.shares & known
            left, right = (np.where(scaled, edge * width, edge) for edge in (left, right))
            top, bottom = (np.where(scaled, edge * height, edge) for edge in (top, bottom))
            min_side[labels.shares & ~known] = 0.0
        finite = np.isfinite(left + top + right + bottom)
        sides = np.minimum(right - left, bottom - top)
        clipped = [
            np.clip(left, 0, width),
            np.clip(top, 0, height),
            np.clip(right, 0, width),
            np.clip(bottom, 0, height),
        ]
        inner = np.minimum(clipped[2] - clipped[0], clipped[3] - clipped[1])
        beyond = np.maximum(np.maximum(-left, -top), np.maximum(right - width, bottom - height))
    area = finite & (sides > 0) & (sides >= min_side)
    good = area & (inner > 0) & (inner >= min_side)
    _tell(labels, findings, "not_a_number", ~finite)
    _tell(labels, findings, "degenerate_box", finite & ~area)
    _tell(labels, findings, "box_outside_image", area & ~good, sizes)
    _tell(labels, findings, "box_crosses_border", good & known & (beyond > _ROUNDING), sizes)
    rows = np.flatnonzero(good)
    return rows, np.stack([edge[rows] for edge in clipped], axis=1)


def suspicious_boxes(
    labels: RawAnnotations, rows: NDArray[np.intp], boxes: NDArray[np.float64], findings: Findings
) -> None:
    """Tell of tiny boxes and of boxes drawn twice.

    Args:
        rows: [K], rows of `labels`.
        boxes: float64 [K, 4], xyxy, pixels; of each.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    tiny = ((sides < _TINY_SIDE).any(axis=1) | (sides.prod(axis=1) < _TINY_AREA)) & ~labels.crowds[rows]
    findings.add_many(
        "tiny_box",
        int(tiny.sum()),
        (
            labels.box_place(row, f"{w:.3g} × {h:.3g} pixels")
            for row, (w, h) in zip(rows[tiny], sides[tiny], strict=True)
        ),
    )
    first, second = _drawn_twice(labels.owners[rows] * len(labels.class_names) + labels.labels[rows], boxes)
    again = np.unique(second)
    findings.add_many(
        "duplicate_box",
        len(again),
        (labels.box_place(rows[row], f"as {labels.box_text(rows[first[second == row][0]])}") for row in again),
    )


def _drawn_twice(groups: NDArray[np.int64], boxes: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of rows of one group (image and class) that overlap with IoU > 0.95.

    From left to right, each row is compared with the next one of its group, then with the one after that, while any
    begins near enough: the left edges of such a pair lie within a twentieth of the first one's width.
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
        one, two = boxes[left], boxes[left + step]
        inner = np.clip(np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2]), 0, None).prod(axis=1)
        same = inner > _DUPLICATE_IOU * (areas[left] + areas[left + step] - inner)
        firsts.append(left[same])
        seconds.append(left[same] + step)
    if not firsts:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    pair = np.stack((order[np.concatenate(firsts)], order[np.concatenate(seconds)]))
    return pair.min(axis=0), pair.max(axis=0)  # the later one in the file is the duplicate


def _tell(
    labels: RawAnnotations,
    findings: Findings,
    code: str,
    bad: NDArray[np.bool_],
    sizes: NDArray[np.int32] | None = None,
) -> None:
    rows = np.flatnonzero(bad)

    def detail(row: int) -> str:
        if sizes is None:
            return labels.box_text(row)
        width, height = sizes[labels.owners[row]]
        return f"{labels.box_text(row)} in {width} × {height}"

    findings.add_many(code, len(rows), (labels.box_place(row, detail(row)) for row in map(int, rows)))
