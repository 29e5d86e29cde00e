"""The labels, images and shapes in one XML file of CVAT for images, and the bounds of each shape.

Owns the layout of the file. `harness.data.formats.cvat` decides which images belong to a split and where they lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.data.formats.shapes import (
    Corners,
    bounds_of_ellipse,
    bounds_of_points,
    bounds_of_turned_rectangle,
)
from harness.data.formats.source import UnreadableError
from harness.data.formats.values import image_size, number
from harness.data.formats.xml_text import parse_xml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WITHOUT_AREA = frozenset({"polyline", "points", "skeleton", "tag"})
_BOX = ("xtl", "ytl", "xbr", "ybr")
_ELLIPSE = ("cx", "cy", "rx", "ry")
_MASK = ("left", "top", "width", "height")
_CUBOID = tuple(f"{axis}{corner}{face}" for axis in "xy" for corner in ("tl", "bl", "tr", "br") for face in "12")


@dataclass(slots=True)
class _Label:
    name: str = ""
    type: str = ""
    parent: str = ""  # the skeleton that a point belongs to

    def is_class(self) -> bool:
        """Return whether an object with an area can have this label."""
        return bool(self.name) and not self.parent and self.type not in WITHOUT_AREA


@dataclass(frozen=True, slots=True)
class Shape:
    """An element of an image: what it is, its line, and its attributes."""

    kind: str
    line: int
    attributes: Mapping[str, str]

    @property
    def label(self) -> str:
        """The label, without spaces around it."""
        return self.attributes.get("label", "").strip()

    @property
    def group(self) -> str | None:
        """The group of shapes that it belongs to; None if it stands alone."""
        group = self.attributes.get("group_id", "").strip()
        return None if group in {"", "0"} else group

    def bounds(self) -> Corners:
        """Return the bounds, xyxy, pixels.

        Raises:
            UnreadableError: it lacks a value, or is of an unknown kind.
        """

        def values(names: Sequence[str]) -> list[float]:
            missing = [name for name in names if name not in self.attributes]
            if missing:
                raise UnreadableError(f"<{self.kind}> without {', '.join(missing)}")
            return [number(self.attributes[name]) for name in names]

        degrees = number(self.attributes.get("rotation", "0"))
        match self.kind:
            case "box":
                left, top, right, bottom = values(_BOX)
                return bounds_of_turned_rectangle((left, top, right, bottom), degrees)
            case "ellipse":
                x, y, *radii = values(_ELLIPSE)
                return bounds_of_ellipse(x, y, (radii[0], radii[1]), math.radians(degrees))
            case "mask":
                left, top, width, height = values(_MASK)
                return left, top, left + width, top + height
            case "cuboid":
                corners = values(_CUBOID)
                return bounds_of_points(corners[: len(corners) // 2], corners[len(corners) // 2 :])
            case "polygon":
                values(("points",))
                points = [
                    tuple(map(number, point.split(","))) for point in self.attributes["points"].strip("; ").split(";")
                ]
                if any(len(point) != 2 for point in points):  # noqa: PLR2004 - x and y
                    raise UnreadableError(f"points of a <polygon> are x,y;x,y;…, got {self.attributes['points'][:80]}")
                return bounds_of_points(*zip(*points, strict=True))
            case _:
                raise UnreadableError(f"<{self.kind}> is no shape that is read (box, polygon, ellipse, mask, cuboid)")


@dataclass(frozen=True, slots=True)
class Image:
    """An image, the subset of the project that it belongs to, and its declared size; (0, 0) where there is none."""

    name: str
    subset: str
    size: tuple[int, int]
    line: int
    shapes: list[Shape]


@dataclass(slots=True)
class Elements:
    """The labels and the images of one file."""

    labels: list[_Label] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)

    def class_names(self) -> tuple[str, ...]:
        """Return the labels that an object with an area can have, in their order; empty if the file declares none."""
        return tuple(dict.fromkeys(label.name for label in self.labels if label.is_class()))

    def opened(self, path: Sequence[str], attributes: Mapping[str, str], line: int) -> None:
        """Add the image, shape or label that begins."""
        match path[1:]:
            case ["image"]:
                size = image_size(attributes.get("width"), attributes.get("height"))
                name, subset = attributes.get("name", "").strip(), attributes.get("subset", "").strip()
                self.images.append(Image(name, subset, size, line, []))
            case ["image", kind]:
                self.images[-1].shapes.append(Shape(kind, line, attributes))
            case ["meta", *_, "labels", "label"]:
                self.labels.append(_Label())
            case _:
                pass

    def closed(self, path: Sequence[str], text: str, _line: int) -> None:
        """Add what the file says of a label."""
        match path[1:]:
            case ["meta", *_, "labels", "label", "name" | "type" | "parent" as key]:
                setattr(self.labels[-1], key, text)
            case _:
                pass


def read_elements(path: Path) -> Elements:
    """Read a whole file.

    Raises:
        UnreadableError: it is not a CVAT file.
    """
    elements = Elements()
    parse_xml(path, elements, root="annotations", format_name="CVAT")
    return elements
