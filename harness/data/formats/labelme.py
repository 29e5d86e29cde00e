"""LabelMe JSON with one file per image: rectangles, and the bounding boxes of polygons, circles and masks.

Rectangles are drawn from any corner to the opposite one, so swapped corners are valid here. Shapes of one label and one
`group_id` are parts of one object, as in LabelMe's own exporters. `imageData`, the image inside the JSON, is skipped:
the image file must exist.
"""

from __future__ import annotations

import math
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from harness.data.formats.files import MAX_BYTES_OF_ONE_IMAGE, files_under, read_bytes
from harness.data.formats.json_text import decode_json, has_json_key
from harness.data.formats.shapes import Corners, Objects, bounds_of_ellipse, bounds_of_points
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import group_by_split, label_name
from harness.data.formats.values import image_size
from harness.data.image_names import is_absolute, plain_name
from harness.data.near_labels import near
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows
from harness.formatting import counted

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_KEYS = ("imagePath", "shapes")
_SUFFIX = frozenset({".json"})
_CIRCLE_POINTS = 2
_MIN_POINTS = {  # of the shapes that have an area; X-AnyLabeling has other names for some
    **dict.fromkeys(("rectangle", "polygon", "mask"), 2),
    **dict.fromkeys(("oriented_rectangle", "rotation", "quadrilateral", "cuboid"), 4),
}
_NO_OBJECTS = frozenset({"__ignore__", "_background_"})  # labels that LabelMe's exporters give no class of an object


class _Shape(msgspec.Struct):
    label: str | int | float
    points: list[tuple[float | None, float | None]]
    shape_type: str | None = None
    group_id: str | int | float | None = None


class _File(msgspec.Struct):
    shapes: list[msgspec.Raw]
    imagePath: str | None = None  # noqa: N815 - LabelMe's name
    imageWidth: int | float | str | None = None  # noqa: N815
    imageHeight: int | float | str | None = None  # noqa: N815


def find(path: Path) -> dict[str, Source]:
    """Find folders named after splits, or one folder; the images lie beside the JSON or where `imagePath` says."""
    if os.path.isfile(path):
        return {"all": Source(format="labelme", annotations=path)} if has_json_key(path, *_KEYS) else {}
    files = [path / name for name in files_under(path, _SUFFIX)]
    if not any(has_json_key(file, *_KEYS) for file in files[:5]):
        return {}
    splits = group_by_split(path, files, is_annotation=lambda file: has_json_key(file, *_KEYS))
    return {name: Source(format="labelme", annotations=folder) for name, folder in splits.items()}


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
        name = _name(path, file.imagePath, root or folder, is_root=source.images is not None)
        own = label_name(path, source.annotations)
        image = rows.add_image(name, file=str(path), size=image_size(file.imageWidth, file.imageHeight), label_name=own)
        for index, label, corners in _objects(path, file, frozenset(source.class_names or ()), findings):
            rows.add_box(image, corners, label, number=index)
    return rows.build()


def _objects(path: Path, file: _File, classes: frozenset[str], findings: Findings) -> Objects:
    """Return the objects of a file, numbered by the indices of their shapes.

    Labels that stand for no object are left out unless they are among `classes`.
    """
    objects = Objects()
    for index, raw in enumerate(file.shapes):
        try:
            shape = decode_json(bytes(raw), _Shape)
            label = str(shape.label)
            if label in _NO_OBJECTS - classes:
                place = Place(file=str(path), image=file.imagePath, annotation=index, detail=label)
                findings.add("ignored_label", place)
                continue
            corners = _bounds(shape)
        except UnreadableError as error:
            place = Place(file=str(path), image=file.imagePath, annotation=index, detail=error.detail)
            findings.add("unreadable_annotation", place)
            continue
        group = None if shape.group_id == "" else shape.group_id
        objects.add(corners, label, number=index, group=group)
    return objects


def _bounds(shape: _Shape) -> Corners:
    """Return the bounds of a shape, xyxy, pixels.

    Raises:
        UnreadableError: the shape has no area, such as a line or a point.
    """
    kind = shape.shape_type or "polygon"
    points = [(math.nan if x is None else x, math.nan if y is None else y) for x, y in shape.points]
    if kind == "circle" and len(points) == _CIRCLE_POINTS:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return bounds_of_ellipse(x, y, (radius, radius))
    if len(points) < _MIN_POINTS.get(kind, math.inf):
        size = counted(len(points), "point")
        raise UnreadableError(f"{kind} of {size}: it has no area; expected a rectangle or a polygon")
    xs, ys = zip(*points, strict=True)
    return bounds_of_points(xs, ys)


def _root(folder: Path, parsed: list[tuple[Path, _File]]) -> Path | None:
    """Return the folder above the JSON files' one that every `imagePath` leads to (`../images/a.jpg`), if it is near.

    Otherwise None: the images lie beside the JSON files, or the folder is to be searched for.
    """
    names = [_name(path, file.imagePath, folder) for path, file in parsed if file.imagePath]
    up = max((name.split("/").count("..") for name in names), default=0)
    above = near(folder)
    return above[up] if up < len(above) and all(name.startswith("../") for name in names) and names else None


def _name(path: Path, image_path: str | None, root: Path, *, is_root: bool = False) -> str:
    """Make `imagePath`, which is relative to its JSON file, relative to `root`; return nothing where it is missing.

    A path that would be refused, such as an absolute one, is returned unchanged. If the suite says that `root` is the
    folder of the images (`is_root`), a path that leads elsewhere counts by the file's name alone.
    """
    image_path = plain_name(image_path or "")
    if not image_path or "\0" in image_path or is_absolute(image_path):
        return image_path
    name = os.path.relpath(os.path.normpath(path.parent / image_path), root)
    return PurePosixPath(image_path).name if is_root and name.startswith("../") else name
