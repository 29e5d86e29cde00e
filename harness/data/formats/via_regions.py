"""The regions that files of VGG Image Annotator hold: projects of VIA 1, 2 and 3, and annotations as JSON or CSV.

Owns the layouts of the files. `harness.data.formats.via` decides what a region means and which attribute is its class.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from harness.data.formats.files import read_bytes, read_text
from harness.data.formats.json_text import decode_json
from harness.data.formats.source import UnreadableError
from harness.data.formats.via_3 import read_project
from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_CELLS = ("filename", "region_shape_attributes", "region_attributes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region of an image.

    Attributes:
        shape: its kind (`name`) and its coordinates in pixels, by VIA's names.
        attributes: what people said about it, by the names that they chose.
        number: its index in the image, or its line in a CSV.
        place: where it stands.
    """

    shape: Mapping[str, Any]
    attributes: Mapping[str, Any]
    number: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ViaImage:
    """An image, its regions, and the line of a CSV that names it first (−1 in JSON)."""

    name: str
    line: int = -1
    regions: list[Region] = field(default_factory=list)

    def add(self, region: bytes, number: int, place: Place, findings: Findings) -> None:
        """Add a region from its JSON, or report what is wrong with it."""
        try:
            decoded = decode_json(region, _Region)
        except UnreadableError as error:
            findings.add("unreadable_annotation", replace(place, detail=error.detail))
            return
        attributes = decoded.region_attributes if isinstance(decoded.region_attributes, dict) else {}
        self.regions.append(Region(shape=decoded.shape_attributes, attributes=attributes, number=number, place=place))


class _Region(msgspec.Struct):
    shape_attributes: dict[str, Any]
    region_attributes: dict[str, Any] | list[Any] | None = None  # some programs write [] for {}


class _Entry(msgspec.Struct):
    filename: str
    regions: list[msgspec.Raw] | dict[str, msgspec.Raw] | None = None  # VIA 1 numbers them: {"0": …}


def read_json(path: Path, findings: Findings) -> Iterator[ViaImage]:
    """Yield the images of a project, or of annotations as JSON.

    Raises:
        UnreadableError: it is no JSON, or no file of VIA.
    """
    data = read_bytes(path)
    content = _items(data)
    if {"project", "view", "metadata"} <= content.keys():
        for name, found in read_project(data, path, findings):
            image = ViaImage(name=_image_name(name))
            for index, region in enumerate(found):
                image.add(region, index, Place(file=str(path), image=image.name, annotation=index), findings)
            yield image
        return
    if "_via_img_metadata" in content:
        content = _items(bytes(content["_via_img_metadata"]))
    for key, raw in content.items():
        try:
            entry = decode_json(bytes(raw), _Entry)
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=str(path), image=key, detail=error.detail))
            continue
        image = ViaImage(name=_image_name(entry.filename))
        regions = entry.regions or []
        for index, region in enumerate(regions.values() if isinstance(regions, dict) else regions):
            place = Place(file=str(path), image=image.name, annotation=index)
            image.add(bytes(region), index, place, findings)
        yield image


def _items(data: bytes) -> dict[str, msgspec.Raw]:
    """Return the values of a JSON object, or of a list by their positions."""
    if data.lstrip().startswith(b"["):
        return {f"[{index}]": value for index, value in enumerate(decode_json(data, list[msgspec.Raw]))}
    return decode_json(data, dict[str, msgspec.Raw])


def read_csv(path: Path, findings: Findings) -> Iterator[ViaImage]:
    """Yield the images of annotations as CSV; a row without a shape is an image without regions.

    Raises:
        UnreadableError: it is no text, or lacks VIA's columns.
    """
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    images: dict[str, ViaImage] = {}
    columns: list[int] = []
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            findings.add("unreadable_annotation", Place(file=str(path), line=reader.line_num, detail=str(error)))
            continue
        if row is None:
            break
        if not columns:
            columns = _columns(row)
        elif len(row) <= max(columns):
            if any(row):
                detail = f"{len(row)} cells, expected {max(columns) + 1}"
                findings.add("unreadable_annotation", Place(file=str(path), line=reader.line_num, detail=detail))
        else:
            name, shape, attributes = (row[column] for column in columns)
            place = Place(file=str(path), line=reader.line_num, image=_image_name(name))
            image = images.setdefault(name, ViaImage(name=_image_name(name), line=reader.line_num))
            if shape.strip() not in {"", "{}"}:
                region = f'{{"shape_attributes": {shape}, "region_attributes": {attributes or "{}"}}}'
                image.add(region.encode(), reader.line_num, place, findings)
    yield from images.values()


def _columns(header: Sequence[str]) -> list[int]:
    """Return the positions of the columns that are read; VIA 1.0 begins the header with #."""
    names = [name.strip().removeprefix("#") for name in header]
    missing = [name for name in _CELLS if name not in names]
    if missing:
        raise UnreadableError(f"no CSV of VIA: its header lacks {', '.join(missing)}", 1)
    return [names.index(name) for name in _CELLS]


def _image_name(filename: str) -> str:
    """Return the name of an image; of a web address its last part, under which it is saved."""
    try:
        return PurePosixPath(unquote(urlsplit(filename).path)).name if "://" in filename else filename
    except ValueError:
        return filename
