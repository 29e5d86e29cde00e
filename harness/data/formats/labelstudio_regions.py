"""One annotated image of Label Studio: which of its fields names the image, and the class and bounds of its regions.

Coordinates are percentages of the image's sides. A rectangle is turned about its upper left corner, an ellipse about
its centre (https://labelstud.io/guide/task_format).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from harness.data.formats.shapes import Corners, bounds_of_ellipse, bounds_of_points
from harness.data.formats.source import UnreadableError
from harness.data.image_names import IMAGE_SUFFIXES, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_IMAGE_KEYS = ("image", "img", "image_url", "img_url", "url", "ocr", "photo", "picture")
_HEX = frozenset("0123456789abcdef")
_PREFIX = 8  # hexadecimal digits and a hyphen, which an upload puts before the file's name
_FULL_CIRCLE = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What one control tag says about a region of an image.

    Attributes:
        value: its coordinates and labels.
        size: (width, height) of the image, pixels; (0, 0) if the file does not say it.
        turned: the degrees by which the image was turned when the region was drawn.
        number: its index in the annotation.
    """

    value: Mapping[str, Any]
    size: tuple[int, int]
    turned: object
    number: int


def image_reference(fields: Mapping[str, Any]) -> str:
    """Return what names the image among a task's fields.

    Raises:
        UnreadableError: none does, or several do.
    """
    texts = {key: value for key, value in fields.items() if isinstance(value, str)}
    images = [key for key, text in texts.items() if _suffix(text) in IMAGE_SUFFIXES]
    known = [key for key in _IMAGE_KEYS if texts.get(key)]
    key = next((key for key in known if key in images), None) or (images[0] if len(images) == 1 else None)
    if key is None and len(images) > 1:
        raise UnreadableError(f"several images ({', '.join(images)[:200]}), expected one a task, called image")
    if key is None and not known:
        raise UnreadableError(f"no image among its fields ({', '.join(map(str, fields))[:200]})")
    reference = texts[key or known[0]]
    if reference.startswith("data:"):
        raise UnreadableError("the image itself stands in the file; save it as a file, and export its name")
    return reference


def spellings(reference: str) -> Sequence[str]:
    """Return the paths that an image may have below a folder, the best first.

    An export names it by where the server had it: `/data/upload/1/0fe17a2b-a.jpg`, `/data/local-files/?d=set/a.jpg`,
    `s3://bucket/set/a.jpg`, `https://host/set/a%20b.jpg?token=1`. So it is the longest end of that path that is there,
    and last the name without the eight digits that an upload put before it.
    """
    path = _path(reference)
    plain = [plain_name(path), plain_name(unquote(path)), plain_name(unquote(path.partition("?")[0]))]
    if "://" not in reference and any(name.split("/")[0] == ".." for name in plain):
        return (plain[0],)  # refused as a path that leaves the folder
    names = dict.fromkeys(end for name in plain for end in _ends(name))
    uploaded = "/data/upload/" in reference
    bare = dict.fromkeys(name for name in map(_without_prefix, names) if uploaded and name not in names)
    return [*names, *bare] or [reference]


def _path(reference: str) -> str:
    """Return the path in an address, without the host or bucket."""
    _, local_files, path = reference.partition("/local-files/?d=")
    if local_files:
        return path
    _, scheme, address = reference.partition("://")
    return address.partition("?")[0].partition("/")[2] if scheme else reference


def _suffix(reference: str) -> str:
    return os.path.splitext(_path(reference).partition("?")[0])[1].lower()


def _ends(path: str) -> Iterable[str]:
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _without_prefix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    digits, hyphen, rest = name.partition("-")
    return folder + slash + rest if hyphen and rest and len(digits) == _PREFIX and _HEX.issuperset(digits) else path


def labels_of(value: Mapping[str, Any]) -> list[str]:
    """Return the labels of a region: its `rectanglelabels`, `polygonlabels`, …, or `labels`."""
    found = [labels for key, labels in value.items() if key.endswith("labels") and isinstance(labels, list)]
    return list(dict.fromkeys(str(label) for labels in found for label in labels if str(label).strip()))


def is_point(value: Mapping[str, Any]) -> bool:
    """Return whether a region is a key point, which has no area."""
    return "keypointlabels" in value or ("x" in value and not {"height", "radiusX"} & value.keys())


def bounds(region: Region) -> Corners:
    """Return a region's bounds, xyxy, in fractions of the image's sides.

    Raises:
        UnreadableError: it is no shape with bounds, or lacks what they follow from.
    """
    value = region.value
    turned = _number(region.turned or 0)
    if turned % _FULL_CIRCLE:
        raise UnreadableError(f"drawn on the image turned by {turned:g} degrees; turn it back in Label Studio")
    if "rle" in value or "brushlabels" in value or "imageDataURL" in value:
        raise UnreadableError("a mask of the brush, which is not read; draw a box or a polygon, or export as COCO")
    if "points" in value:
        points = value["points"]
        if not isinstance(points, list) or not points:
            raise UnreadableError("a polygon without points")
        pairs = [_pair(point) for point in points]
        return _fractions(bounds_of_points([x for x, _ in pairs], [y for _, y in pairs]), (1, 1))
    degrees = _number(value.get("rotation") or 0) % _FULL_CIRCLE
    if degrees and not all(region.size):
        raise UnreadableError("turned, and without original_width and original_height")
    scale = region.size if degrees else (1, 1)
    if "radiusX" in value:
        x, y, radius_x, radius_y = _scaled(value, ("x", "y", "radiusX", "radiusY"), scale)
        return _fractions(bounds_of_ellipse(x, y, (radius_x, radius_y), math.radians(degrees)), scale)
    x, y, width, height = _scaled(value, ("x", "y", "width", "height"), scale)
    if not degrees:
        return _fractions((x, y, x + width, y + height), scale)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, along = (width * cosine, width * sine), (-height * sine, height * cosine)
    xs = [x, x + across[0], x + along[0], x + across[0] + along[0]]
    ys = [y, y + across[1], y + along[1], y + across[1] + along[1]]
    return _fractions(bounds_of_points(xs, ys), scale)


def _fractions(corners: Corners, sides: tuple[float, float]) -> Corners:
    left, top, right, bottom = corners
    return left / sides[0] / 100, top / sides[1] / 100, right / sides[0] / 100, bottom / sides[1] / 100


def _scaled(value: Mapping[str, Any], keys: Sequence[str], sides: tuple[float, float]) -> list[float]:
    """Return values of which every first is along the image's width and every second along its height."""
    missing = [key for key in keys if key not in value]
    if missing:
        raise UnreadableError(f"a region without {', '.join(missing)}, with {', '.join(value)[:200] or 'nothing'}")
    return [_number(value[key]) * sides[index % 2] for index, key in enumerate(keys)]


def _pair(point: object) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2:  # noqa: PLR2004 - x and y
        raise UnreadableError(f"a point of a polygon is {str(point)[:80]}, expected x and y")
    return _number(point[0]), _number(point[1])


def _number(value: object) -> float:
    """Return a number; NaN for null, which stands for a NaN in the file."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnreadableError(f"expected a number, got {str(value)[:80]}")
    return float(value)
