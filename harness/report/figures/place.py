"""Where names stand beside marks: inside the picture, and never one over another; a name without room is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DISTANCES = (4.0, 14.0, 26.0, 40.0)  # from a mark to its name, nearest first
_MAX_COVERED = 3  # marks that a name may lie on
_AIR = 2.0  # around each name


class Rectangle(NamedTuple):
    """An area, by its left, bottom, right and top."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Rectangle) -> bool:
        """Whether the two have a point in common."""
        across = self.left <= other.right and other.left <= self.right
        return across and self.bottom <= other.top and other.bottom <= self.top

    def holds(self, other: Rectangle) -> bool:
        """Whether the other lies inside."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.bottom <= other.bottom and other.top <= self.top


def place_names(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    *,
    area: Rectangle,
    marks: Sequence[tuple[float, float]],
) -> list[Rectangle | None]:
    """Give each name the place where it covers the fewest marks, in the order given; None where there is no room.

    Args:
        anchors: the mark that each name belongs to, (x, y) in any unit, with y upwards.
        sizes: the width and the height of each name.
        area: what the names may not leave.
        marks: every mark of the picture.
    """
    placed: list[Rectangle | None] = []
    for (x, y), (width, height) in zip(anchors, sizes, strict=True):
        free = [
            place
            for place in _places(x, y, width, height)
            if area.holds(place) and not any(other and place.overlaps(other) for other in placed)
        ]
        covered = [sum(place.overlaps(Rectangle(a, b, a, b)) for a, b in marks) for place in free]
        best = min(covered, default=_MAX_COVERED + 1)
        placed.append(free[covered.index(best)] if best <= _MAX_COVERED else None)
    return placed


def _places(x: float, y: float, width: float, height: float) -> Iterator[Rectangle]:
    for distance in _DISTANCES:
        for bottom in (y + distance, y - distance - height):
            for left in (x + distance, x - distance - width, x - width / 2, x - width / 4, x - width * 3 / 4):
                yield Rectangle(left - _AIR, bottom - _AIR, left + width + _AIR, bottom + height + _AIR)
