"""CreateML JSON: a list of images, each with boxes as centre, width and height in pixels.

https://developer.apple.com/documentation/createml/building-an-object-detector-data-source
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from harness.data.formats.files import ends_of_file, read_bytes
from harness.data.formats.json_text import decode_json, has_json_key
from harness.data.formats.recognise import format_of
from harness.data.formats.shapes import corners_around
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import find_files
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIX = frozenset({".json"})
_KEYS = ("image", "imagefilename", "coordinates")


class _Coordinates(msgspec.Struct):
    x: float | None
    y: float | None
    width: float | None
    height: float | None


class _Annotation(msgspec.Struct):
    label: str | int | float
    coordinates: _Coordinates


class _Image(msgspec.Struct):
    """An image's entry; Apple's own pages write `image` with `annotations`, and `imagefilename` with `annotation`."""

    image: str = ""
    imagefilename: str = ""
    annotations: list[msgspec.Raw] | None = None
    annotation: list[msgspec.Raw] | None = None


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that are named after splits or lie in folders that are."""
    return find_files(path, "createml", _SUFFIX, _is_createml)


def _is_createml(path: Path) -> bool:
    return (
        has_json_key(path, *_KEYS)
        and ends_of_file(path).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
        and format_of(path) is None
    )


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one CreateML file.

    Raises:
        UnreadableError: the file is not a JSON list.
    """
    path = str(source.annotations)
    rows = RawAnnotationRows(numbered_by="index", images=source.images, written_as_sizes=True, centred=True)
    for index, raw in enumerate(decode_json(read_bytes(source.annotations), list[msgspec.Raw])):
        try:
            entry = decode_json(bytes(raw), _Image)
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=path, detail=f"[{index}]: {error.detail}"))
            continue
        name = entry.image or entry.imagefilename
        if not name:
            detail = f"[{index}]: no image named (image, or imagefilename)"
            findings.add("unreadable_annotation", Place(file=path, detail=detail))
            continue
        image = rows.add_image(name, file=path)
        for number, item in enumerate(entry.annotations or entry.annotation or ()):
            try:
                annotation = decode_json(bytes(item), _Annotation, strict=False)
            except UnreadableError as error:
                place = Place(file=path, image=name, annotation=number, detail=error.detail)
                findings.add("unreadable_annotation", place)
                continue
            c = annotation.coordinates
            sides = (math.nan if side is None else side for side in (c.x, c.y, c.width, c.height))
            rows.add_box(image, corners_around(*sides), str(annotation.label), number=number)
    return rows.build()
