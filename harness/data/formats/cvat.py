"""CVAT for images 1.1 (https://docs.cvat.ai/docs/manual/advanced/xml_format/): one XML file for all images of a task.

A box, polygon, ellipse, mask or cuboid is read as its bounds, turned ones included. Lines, points, skeletons and tags
have no area: they are reported and left out. The labels of the task or project are the classes, in their order. The
subsets of a project are its splits.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.data.formats.reading import (
    Source,
    UnreadableError,
    add_broken_files,
    beginning,
    ends,
    files_under,
    group_by_split,
    number,
    read_bytes,
)
from harness.data.formats.shapes import (
    Corners,
    bounds_of_ellipse,
    bounds_of_points,
    bounds_of_turned_rectangle,
)
from harness.data.formats.xml_text import parse_xml
from harness.data.image_names import split_from_name
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIX = frozenset({".xml"})
_ROOT = re.compile(rb"<annotations[\s>/]")
_TRACK = re.compile(rb"</?track[\s>]")
_SUBSET = re.compile(rb"s\0?u\0?b\0?s\0?e\0?t\0?=")  # with zero bytes in UTF-16
_MAX_FILES = 100  # of which the first bytes are read: VOC has one XML file an image, CVAT one for all
_WITHOUT_AREA = {"polyline", "points", "skeleton", "tag"}
_BOX = ("xtl", "ytl", "xbr", "ybr")
_ELLIPSE = ("cx", "cy", "rx", "ry")
_MASK = ("left", "top", "width", "height")
_CUBOID = tuple(f"{axis}{corner}{face}" for axis in "xy" for corner in ("tl", "bl", "tr", "br") for face in "12")


def find(path: Path) -> dict[str, Source]:
    """Find one file and the subsets in it, or files that they or their folders name after splits.

    Raises:
        UnreadableError: a file has subsets that are named after splits and others that are not.
    """
    if os.path.isfile(path):
        files = {"all": path} if _is_cvat(path) else {}
    else:
        present = [path / name for name in files_under(path, _SUFFIX)]
        recognised = [file for file in present[:_MAX_FILES] if _is_cvat(file)]
        files = group_by_split(path, add_broken_files(recognised, present, path), single=True)
    sources = {name: Source(format="cvat", annotations=file) for name, file in files.items()}
    if len(sources) != 1:
        return sources
    source = next(iter(sources.values()))
    subsets = _subsets_by_split(source.annotations)
    return {split: replace(source, subsets=tuple(names)) for split, names in subsets.items()} or sources


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one file, or those of its images that are in the source's subsets.

    Raises:
        UnreadableError: it is not a CVAT file.
    """
    path = str(source.annotations)
    parsed = _parse(source.annotations)
    images = [image for image in parsed.images if not source.subsets or image.subset in source.subsets]
    folder, below_subset = _image_folder(source, sorted({image.subset for image in images}))
    class_names = tuple(dict.fromkeys(label.name for label in parsed.labels if label.is_class())) or None
    rows = RawAnnotationRows(numbered_by="line", images=folder, class_names=class_names)
    for image in images:
        if not image.name:
            findings.add("unreadable_annotation", Place(file=path, line=image.line, detail="<image> without name"))
            continue
        name = f"{image.subset}/{image.name}" if below_subset else image.name
        row = rows.add_image(name, file=path, line=image.line, size=image.size)
        for shape in image.shapes:
            place = Place(file=path, line=shape.line, image=name)
            _add_shape(rows, row, shape, place, class_names, findings)
    return rows.build()


@dataclass(slots=True)
class _Label:
    name: str = ""
    type: str = ""
    parent: str = ""  # the skeleton that a point belongs to

    def is_class(self) -> bool:
        """Return whether an object with an area can have this label."""
        return bool(self.name) and not self.parent and self.type not in _WITHOUT_AREA


@dataclass(frozen=True, slots=True)
class _Shape:
    kind: str
    line: int
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Image:
    name: str
    subset: str
    size: tuple[int, int]
    line: int
    shapes: list[_Shape]


@dataclass(slots=True)
class _Elements:
    """Collects the labels and the images of one file."""

    labels: list[_Label] = field(default_factory=list)
    images: list[_Image] = field(default_factory=list)

    def opened(self, path: Sequence[str], attributes: Mapping[str, str], line: int) -> None:
        match path[1:]:
            case ["image"]:
                size = _size(attributes.get("width", ""), attributes.get("height", ""))
                name, subset = attributes.get("name", "").strip(), attributes.get("subset", "").strip()
                self.images.append(_Image(name, subset, size, line, []))
            case ["image", kind]:
                self.images[-1].shapes.append(_Shape(kind, line, attributes))
            case ["meta", *_, "labels", "label"]:
                self.labels.append(_Label())
            case _:
                pass

    def closed(self, path: Sequence[str], text: str, _line: int) -> None:
        match path[1:]:
            case ["meta", *_, "labels", "label", "name" | "type" | "parent" as key]:
                setattr(self.labels[-1], key, text)
            case _:
                pass


def _parse(path: Path) -> _Elements:
    elements = _Elements()
    parse_xml(path, elements, root="annotations", format_name="CVAT")
    return elements


def _add_shape(
    rows: RawAnnotationRows,
    image: int,
    shape: _Shape,
    place: Place,
    class_names: tuple[str, ...] | None,
    findings: Findings,
) -> None:
    """Add the bounds of a shape to image row `image`, or report what is wrong with it."""
    label = shape.attributes.get("label", "").strip()
    if shape.kind in _WITHOUT_AREA:
        findings.add("left_out", replace(place, detail=f"<{shape.kind}> has no area: {label}"))
        return
    try:
        corners = _bounds(shape.kind, shape.attributes)
    except UnreadableError as error:
        findings.add("unreadable_annotation", replace(place, detail=error.detail))
        return
    if not label:
        findings.add("unreadable_annotation", replace(place, detail=f"<{shape.kind}> without label"))
    elif class_names is None:
        rows.add_box(image, corners, label, number=shape.line)
    elif label in class_names:
        rows.add_box(image, corners, class_names.index(label), number=shape.line)
    else:
        findings.add(
            "unknown_class", replace(place, detail=f"{label} is no label of the task: {', '.join(class_names)}")
        )


def _bounds(kind: str, attributes: Mapping[str, str]) -> Corners:
    """Return the bounds of a shape, xyxy, pixels.

    Raises:
        UnreadableError: it lacks a value, or is of an unknown kind.
    """

    def values(names: Sequence[str]) -> list[float]:
        missing = [name for name in names if name not in attributes]
        if missing:
            raise UnreadableError(f"<{kind}> without {', '.join(missing)}")
        return [number(attributes[name]) for name in names]

    degrees = number(attributes.get("rotation", "0"))
    match kind:
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
            points = [tuple(map(number, point.split(","))) for point in attributes["points"].split(";")]
            if any(len(point) != 2 for point in points):  # noqa: PLR2004 - x and y
                raise UnreadableError(f"points of a <polygon> are x,y;x,y;…, got {attributes['points'][:80]}")
            return bounds_of_points(*zip(*points, strict=True))
        case _:
            raise UnreadableError(f"<{kind}> is no shape that is read (box, polygon, ellipse, mask, cuboid)")


def _subsets_by_split(path: Path) -> dict[str, list[str]]:
    """Return the names of the file's subsets by the split that they are named after; none if no name is a split's.

    Raises:
        UnreadableError: only some are.
    """
    try:
        has_subsets = _SUBSET.search(read_bytes(path))
        names = sorted({image.subset for image in _parse(path).images}) if has_subsets else []
    except UnreadableError:
        return {}  # the reader reports it
    splits: dict[str, list[str]] = {}
    for name in names:
        splits.setdefault(split_from_name(name) or "", []).append(name)
    others = splits.pop("", [])
    if splits and others:
        shown = ", ".join(name or "none" for name in others)
        raise UnreadableError(
            f"images of the subset {shown} belong to no split; in CVAT, give their task one of the subsets Train, "
            "Validation and Test, and export again",
            file=path,
        )
    return splits


def _image_folder(source: Source, subsets: Sequence[str]) -> tuple[Path | None, bool]:
    """Return the folder of the images, and whether their names go on below it after a folder named after their subset.

    CVAT exports the images to `images`, those of a project to `images/SUBSET`.
    """
    near = source.annotations.parent
    for folder in (source.images,) if source.images else (near / "images", near):
        if subsets and all(_is_name(subset) and os.path.isdir(folder / subset) for subset in subsets):
            return (folder / subsets[0], False) if len(subsets) == 1 else (folder, True)
    return source.images, False


def _is_name(subset: str) -> bool:
    return subset not in {"", ".", ".."} and not set(subset) & set("/\\\0")


def _is_cvat(path: Path) -> bool:
    """Return whether a file is of CVAT for images; tracks are those of CVAT for video."""
    if path.suffix.lower() not in _SUFFIX or not _ROOT.search(beginning(path, 4096).replace(b"\0", b"")):  # UTF-16
        return False
    return not _TRACK.search(ends(path).replace(b"\0", b""))


def _size(width: str, height: str) -> tuple[int, int]:
    """Return the declared (width, height); (0, 0) if it is missing or not a size."""
    sides = [number(width), number(height)]
    return (int(sides[0]), int(sides[1])) if all(0 < side < 2**31 for side in sides) else (0, 0)
