"""The bounds of shapes that labelling tools draw, xyxy, in the shape's unit, and of objects drawn as several shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Corners = tuple[float, float, float, float]


def bounds_of_points(xs: Sequence[float], ys: Sequence[float]) -> Corners:
    """Return the bounds of at least one point; NaN everywhere if a coordinate is NaN."""
    if any(map(math.isnan, (*xs, *ys))):
        return math.nan, math.nan, math.nan, math.nan
    return min(xs), min(ys), max(xs), max(ys)


def corners_around(x: float, y: float, width: float, height: float) -> Corners:
    """Return the corners of a box that is stated by its centre and its sides."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def bounds_of_turned_rectangle(corners: Corners, degrees: float) -> Corners:
    """Return the bounds of a rectangle that is turned about its centre; swapped corners are returned as they are."""
    left, top, right, bottom = corners
    if not degrees or left >= right or top >= bottom:
        return corners
    if not math.isfinite(degrees):
        return math.nan, math.nan, math.nan, math.nan
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    width, height = right - left, bottom - top
    x, y = (left + right) / 2, (top + bottom) / 2
    half_width, half_height = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def bounds_of_ellipse(x: float, y: float, radii: tuple[float, float], radians: float = 0.0) -> Corners:
    """Return the bounds of an ellipse around (x, y) that is turned about its centre."""
    if not math.isfinite(radians):
        return math.nan, math.nan, math.nan, math.nan
    cosine, sine = math.cos(radians), math.sin(radians)
    half_width = math.hypot(radii[0] * cosine, radii[1] * sine)
    half_height = math.hypot(radii[0] * sine, radii[1] * cosine)
    return x - half_width, y - half_height, x + half_width, y + half_height


class Objects:
    """The objects of one image: shapes of one label in one group are one object, as in what LabelMe and CVAT export."""

    def __init__(self) -> None:
        self._shapes: dict[object, tuple[int, str, list[Corners]]] = {}

    def add(self, corners: Corners, label: str, *, number: int, group: object = None) -> None:
        """Add a shape by its bounds.

        Args:
            corners: the bounds, xyxy.
            label: the label.
            number: the index or line of the shape.
            group: the group that the shape belongs to; None if it is an object of its own.
        """
        key = len(self._shapes) if group is None else (label, group)
        self._shapes.setdefault(key, (number, label, []))[2].append(corners)

    @property
    def grouped(self) -> int:
        """The number of objects that several shapes make up."""
        return sum(len(shapes) > 1 for _, _, shapes in self._shapes.values())

    def __iter__(self) -> Iterator[tuple[int, str, Corners]]:
        """Yield the number of each object's first shape, its label, and the bounds of all its shapes."""
        for number, label, shapes in self._shapes.values():
            lefts, tops, rights, bottoms = zip(*shapes, strict=True)
            yield number, label, bounds_of_points(lefts + rights, tops + bottoms) if len(shapes) > 1 else shapes[0]
