"""VGG Image Annotator (https://www.robots.ox.ac.uk/~vgg/software/via/): a project, or annotations as JSON or CSV.

A rectangle, circle, ellipse, polygon or polyline is read as its bounds; a point has no area and is left out. The class
is one of the attributes that people gave their regions: the only one, one that is named like a class, or the one that
the suite names (`columns: {class: NAME}`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.data.formats.files import beginning, ends_of_file
from harness.data.formats.shapes import Corners, bounds_of_ellipse, bounds_of_points
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import find_files
from harness.data.formats.values import number
from harness.data.formats.via_regions import Region, read_csv, read_json
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.data.problems import Findings
    from harness.data.raw import RawAnnotations

_SUFFIXES = frozenset({".json", ".csv"})
_SIGNATURES = (  # keys that only VIA writes together: in projects, in annotations, in projects of VIA 3
    {"_via_img_metadata"},
    {"_via_settings"},
    {"filename", "regions", "file_attributes"},
    {"filename", "regions", "shape_attributes"},
    {"vid_list", "loc_prefix"},
)
# Attributes that are the class if a region has several: the first line of words that holds one of them decides.
_CLASS_WORDS = (
    ("class", "classes", "class_name", "label", "labels", "category"),
    ("name", "names", "object", "object_name", "type"),
)


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that are named after splits or lie in folders that are."""
    return find_files(path, "via", _SUFFIXES, _is_via)


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one file.

    Raises:
        UnreadableError: it is not a file of VIA, or it does not show which attribute is the class.
    """
    path = source.annotations
    is_csv = path.suffix.lower() == ".csv"
    images = list((read_csv if is_csv else read_json)(path, findings))
    regions = [region for image in images for region in image.regions]
    attribute = _class_attribute(regions, source)
    rows = RawAnnotationRows(
        numbered_by="line" if is_csv else "index",
        images=source.images,
        written_as_sizes=all(region.shape.get("name") == "rect" for region in regions),
    )
    for image in images:
        row = rows.add_image(image.name, file=str(path), line=image.line)
        for region in image.regions:
            try:
                corners = _bounds(region.shape)
                if corners is None:
                    findings.add("left_out", replace(region.place, detail="a point has no area"))
                    continue
                label = _class_of(region, attribute) if attribute else (source.class_names or ("",))[0]
            except UnreadableError as error:
                findings.add("unreadable_annotation", replace(region.place, detail=error.detail))
                continue
            rows.add_box(row, corners, label, number=region.number)
    return rows.build()


def _class_attribute(regions: Sequence[Region], source: Source) -> str | None:
    """Return the attribute that names the class; None if every region is of the only class that the suite names.

    Raises:
        UnreadableError: no region has an attribute, or several could be the class.
    """
    used = list(dict.fromkeys(name for region in regions for name, value in region.attributes.items() if _texts(value)))
    shown = ", ".join(used)[:200]
    named = (source.columns or {}).get("class")
    if named is not None and named not in used:
        raise UnreadableError(
            f"no region has the attribute {named} (columns: {{class: {named}}}), only {shown or 'none'}"
        )
    if named is not None or len(used) == 1:
        return named or used[0]
    if not used:
        if not regions or len(source.class_names or ()) == 1:
            return None
        raise UnreadableError(
            "no region has an attribute that names its class; if all are of one class, name it in the suite "
            "(classes: [NAME]), else give the regions an attribute in VIA"
        )
    for words in _CLASS_WORDS:
        found = [name for name in used if name.strip().lower() in words]
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise UnreadableError(
        f"the regions have the attributes {shown}; say in the suite which of them is the class: "
        f"columns: {{class: {used[0]}}}"
    )


def _class_of(region: Region, attribute: str) -> str:
    """Return the class of a region.

    Raises:
        UnreadableError: it has none, or several.
    """
    texts = _texts(region.attributes.get(attribute))
    if not texts:
        raise UnreadableError(f"a region without a class: its attribute {attribute} is missing or empty")
    if len(texts) > 1:
        raise UnreadableError(f"a region of several classes: {', '.join(texts)[:200]}")
    return texts[0]


def _texts(value: object) -> list[str]:
    """Return the value of an attribute: one text, or the options of a checkbox that are ticked."""
    if isinstance(value, dict):
        return [str(option).strip() for option, ticked in value.items() if ticked and str(option).strip()]
    text = "" if value is None or isinstance(value, (bool, list)) else str(value).strip()
    return [text] if text else []


def _bounds(shape: Mapping[str, Any]) -> Corners | None:
    """Return the bounds of a shape, xyxy, pixels; None for a point, which has no area.

    Raises:
        UnreadableError: it lacks a value, or is of an unknown kind.
    """
    kind = str(shape.get("name"))[:80]

    def values(*names: str) -> list[float]:
        missing = [name for name in names if name not in shape]
        if missing:
            raise UnreadableError(f"a {kind} without {', '.join(missing)}")
        return [_number(shape[name]) for name in names]

    match kind:
        case "rect":
            left, top, width, height = values("x", "y", "width", "height")
            return left, top, left + width, top + height
        case "circle":
            x, y, radius = values("cx", "cy", "r")
            return bounds_of_ellipse(x, y, (radius, radius))
        case "ellipse":
            x, y, *radii = values("cx", "cy", "rx", "ry")
            return bounds_of_ellipse(x, y, (radii[0], radii[1]), _number(shape.get("theta", 0)))
        case "polygon" | "polyline":
            xs, ys = (shape.get(name) for name in ("all_points_x", "all_points_y"))
            if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or not xs:
                raise UnreadableError(f"a {kind} whose all_points_x and all_points_y are not lists of one length")
            return bounds_of_points([*map(_number, xs)], [*map(_number, ys)])
        case "point":
            return None
        case _:
            raise UnreadableError(f"{kind} is no shape that is read (rect, circle, ellipse, polygon, polyline)")


def _number(value: object) -> float:
    if isinstance(value, str):
        return number(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _is_via(path: Path) -> bool:
    if path.suffix.lower() == ".csv":
        return b"region_shape_attributes" in beginning(path, 1000)
    text = ends_of_file(path) if path.suffix.lower() == ".json" else b""
    return any(all(b'"%s"' % key.encode() in text for key in keys) for keys in _SIGNATURES)
