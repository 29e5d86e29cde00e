"""LabelMe JSON, one file an image: rectangles, and polygons, circles and masks as their bounds.

Rectangles are drawn from any corner to the opposite one, so swapped corners are no fault here. `imageData`, the picture
inside the JSON, is skipped: the image file itself must be there.
"""

from __future__ import annotations

import math
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from harness.data.formats.reading import (
    MAX_BYTES_OF_ONE_IMAGE,
    Source,
    UnreadableError,
    by_split,
    decode_json,
    files_under,
    mentions,
    read_bytes,
)
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_KEYS = ("imagePath", "shapes")
_SUFFIX = frozenset({".json"})
_AREAS = {"rectangle", "polygon", "mask", "rotation"}
_CIRCLE_POINTS = 2


class _Shape(msgspec.Struct):
    label: str | int
    points: list[tuple[float | None, float | None]]
    shape_type: str | None = None


class _File(msgspec.Struct):
    imagePath: str  # noqa: N815 - LabelMe's name
    shapes: list[msgspec.Raw]
    imageWidth: int | float | None = None  # noqa: N815
    imageHeight: int | float | None = None  # noqa: N815


def find(path: Path) -> dict[str, Source]:
    """Folders named after splits, or one folder; images beside the JSON or where `imagePath` says."""
    if os.path.isfile(path):
        return {"all": Source(format="labelme", annotations=path)} if mentions(path, *_KEYS) else {}
    files = [path / name for name in files_under(path, _SUFFIX)]
    if not any(mentions(file, *_KEYS) for file in files[:5]):
        return {}
    found = by_split(path, files, looks=lambda file: mentions(file, *_KEYS))
    return {name: Source(format="labelme", annotations=folder) for name, folder in found.items()}


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read every JSON file of the folder."""
    single = os.path.isfile(source.annotations)
    folder = source.annotations.parent if single else source.annotations
    names = [source.annotations.name] if single else list(files_under(folder, _SUFFIX))
    parsed: list[tuple[Path, _File]] = []
    for path in (folder / name for name in names):
        try:
            parsed.append((path, decode_json(read_bytes(path, MAX_BYTES_OF_ONE_IMAGE), _File)))
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=str(path), line=error.line, detail=error.detail))
    root = source.images or _root(folder, parsed)
    rows = RawAnnotationRows(numbered_by="index", images=root)
    for path, file in parsed:
        image = rows.add_image(_name(path, file.imagePath, root), file=str(path), size=_size(file))
        for index, raw in enumerate(file.shapes):
            try:
                shape = decode_json(bytes(raw), _Shape)
                box = _bounds(shape)
            except UnreadableError as error:
                place = Place(file=str(path), image=file.imagePath, annotation=index, detail=error.detail)
                findings.add("unreadable_annotation", place)
                continue
            rows.add_box(image, box, str(shape.label), number=index)
    return rows.labels()


def _bounds(shape: _Shape) -> tuple[float, float, float, float]:
    kind = shape.shape_type or "polygon"
    points = [(math.nan if x is None else x, math.nan if y is None else y) for x, y in shape.points]
    if kind == "circle" and len(points) == _CIRCLE_POINTS:
        (x, y), edge = points[0], points[1]
        radius = math.dist((x, y), edge)
        return x - radius, y - radius, x + radius, y + radius
    if kind not in _AREAS or not points:
        raise UnreadableError(f"a {kind} of {len(points)} points is no box; expected a rectangle or a polygon")
    if any(math.isnan(value) for point in points for value in point):
        return math.nan, math.nan, math.nan, math.nan
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _root(folder: Path, parsed: list[tuple[Path, _File]]) -> Path:
    """The JSON's folder; the one around it where every image lies beside that folder (`../images/a.jpg`)."""
    beside = [_name(path, file.imagePath, folder).startswith("../") for path, file in parsed]
    return folder.parent if beside and all(beside) else folder


def _name(path: Path, image_path: str, root: Path) -> str:
    """`imagePath` is relative to its JSON; here to `root`. What is suspicious stays as it is, to be refused."""
    if not image_path or "\\" in image_path or "\0" in image_path or PurePosixPath(image_path).is_absolute():
        return image_path
    name = os.path.relpath(os.path.normpath(path.parent / image_path), root)
    inside_images = name.startswith("../") and not PurePosixPath(image_path).parent.parts
    return image_path if inside_images else name  # JSON in one folder, images in another, named alone


def _size(file: _File) -> tuple[int, int]:
    sides = [file.imageWidth or 0, file.imageHeight or 0]
    return (int(sides[0]), int(sides[1])) if all(0 < side < 2**31 for side in sides) else (0, 0)
