"""Pascal VOC XML, one file per image (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html).

Corners count pixels from 1 and include both ends: the box from xmin to xmax covers [xmin − 1, xmax] here. With the
suite's `corners_from: 0`, for the many tools that write edges counted from 0, it covers [xmin, xmax]. A box with
xmin = xmax, one pixel wide by that rule, is treated as degenerate, as in most tools it is a slip of the mouse. A
`difficult` object is treated as a crowd region of COCO: it is not trained on, and ignored in evaluation. The boxes of
an object's parts are skipped. A rotated box (roLabelImg's `robndbox`) is read as its bounding box.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.data.formats.files import MAX_BYTES_OF_TEXT, beginning, files_under
from harness.data.formats.image_lists import listed_labels
from harness.data.formats.recognise import format_of
from harness.data.formats.shapes import Corners, bounds_of_turned_rectangle, corners_around
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import group_by_split, label_name
from harness.data.formats.values import image_size, number
from harness.data.formats.xml_text import parse_xml
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIX = frozenset({".xml"})
_ELEMENT = re.compile(rb"<([A-Za-z][\w.:-]*)")
_SAMPLE = 5  # files of a folder that show whether it is VOC
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_ROTATED = ("cx", "cy", "w", "h", "angle")


def find(path: Path) -> dict[str, Source]:
    """Find VOC's own layout (Annotations, JPEGImages, ImageSets/Main), folders named after splits, or one folder."""
    if os.path.isfile(path):
        is_voc = path.suffix.lower() in _SUFFIX and not _is_foreign(path)
        return {"all": Source(format="voc", annotations=path)} if is_voc else {}
    files = [path / name for name in files_under(path, _SUFFIX)]
    if files and all(map(_is_foreign, files[:_SAMPLE])):
        return {}
    sets = path / "ImageSets" / "Main"
    if os.path.isdir(path / "Annotations"):
        images = path / "JPEGImages"
        unsplit = Source(
            format="voc", annotations=path / "Annotations", images=images if os.path.isdir(images) else None
        )
        lists = {name: sets / f"{name}.txt" for name in ("train", "val", "test")}
        if not os.path.isfile(lists["train"]):
            lists["train"] = sets / "trainval.txt"
        listed = {
            name: Source(format="voc", annotations=unsplit.annotations, images=unsplit.images, listing=(file,))
            for name, file in lists.items()
            if os.path.isfile(file)
        }
        return listed or ({"all": unsplit} if files else {})
    splits = group_by_split(path, files, is_annotation=_is_voc)
    return {name: Source(format="voc", annotations=folder) for name, folder in splits.items()}


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read every XML file of the folder, or only those that the listing names.

    Raises:
        UnreadableError: the listing cannot be read.
    """
    rows = RawAnnotationRows(numbered_by="line", images=source.images, first_pixel=source.corners_from)
    for path in _files(source, findings):
        try:
            parsed = _parse(path)
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=str(path), line=error.line, detail=error.detail))
            continue
        image = rows.add_image(
            parsed.name,
            file=str(path),
            line=parsed.line,
            size=image_size(parsed.width, parsed.height),
            label_name=label_name(path, source.annotations),
        )
        for entry in parsed.objects:
            try:
                corners, label, crowd = _object(entry, source.corners_from)
            except UnreadableError as error:
                findings.add("unreadable_annotation", Place(file=str(path), line=entry.line, detail=error.detail))
            else:
                rows.add_box(image, corners, label, number=entry.line, crowd=crowd)
    return rows.build()


def _files(source: Source, findings: Findings) -> Iterator[Path]:
    if os.path.isfile(source.annotations):
        yield source.annotations
    elif not source.listing:
        yield from (source.annotations / name for name in files_under(source.annotations, _SUFFIX))
    for listing in source.listing:
        yield from listed_labels(listing, source.annotations, ".xml", findings)


def _object(entry: _Object, first_pixel: int) -> tuple[Corners, str, bool]:
    """Return an object's corners, counted from `first_pixel`, its class, and whether it is difficult.

    Raises:
        UnreadableError: a part of it is missing, is there more than once, or is not a number.
    """
    rotated = "robndbox" in entry.texts and "bndbox" not in entry.texts
    needed = ("name", "robndbox", *_ROTATED) if rotated else ("name", "bndbox", *_SIDES)
    for key in needed:
        count = len(entry.texts.get(key, ()))
        if count > 1:
            raise UnreadableError(f"object with {count} {key}, expected one: write an <object> for each")
    missing = [key for key in needed if not entry.texts.get(key) or not (entry.texts[key][0] or key.endswith("box"))]
    if missing:
        raise UnreadableError(f"object without {'bndbox' if 'bndbox' in missing else ', '.join(missing)}")
    texts = {key: entry.texts[key][0] for key in needed}
    values = {key: number(texts[key]) for key in (_ROTATED if rotated else _SIDES)}
    wrong = [f"{key} is {texts[key]!r}" for key in values if math.isnan(values[key]) and texts[key].lower() != "nan"]
    if wrong:
        raise UnreadableError(f"{', '.join(wrong)}: no number")
    difficult = entry.texts.get("difficult", [""])[0].lower()  # some tools write True, or Unspecified
    crowd = difficult in {"true", "yes"} or abs(number(difficult)) > 0
    corners = (
        _around(**values, first_pixel=first_pixel)
        if rotated
        else (values["xmin"], values["ymin"], values["xmax"], values["ymax"])
    )
    return corners, texts["name"], crowd


def _around(*, cx: float, cy: float, w: float, h: float, angle: float, first_pixel: int) -> Corners:
    """Return the corners, counted from `first_pixel`, of a rotated box's bounds (roLabelImg; `angle` in radians)."""
    left, top, right, bottom = bounds_of_turned_rectangle(corners_around(cx, cy, w, h), math.degrees(angle))
    return left + first_pixel, top + first_pixel, right, bottom


@dataclass(slots=True)
class _Object:
    """An object's line, and the texts of the elements in it and in its box, by their names."""

    line: int
    texts: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _File:
    """The image's name and size and the objects of one file, with the line of each object."""

    name: str = ""
    width: str = ""
    height: str = ""
    line: int = 1
    objects: list[_Object] = field(default_factory=list)

    def opened(self, path: Sequence[str], _attributes: Mapping[str, str], line: int) -> None:
        if path == ["annotation", "object"]:
            self.objects.append(_Object(line))
        elif path == ["annotation", "filename"]:
            self.line = line

    def closed(self, path: Sequence[str], text: str, line: int) -> None:
        match path[1:]:
            case ["filename"]:
                if self.name and self.name != text:
                    raise UnreadableError(f"two images in one file, {self.name} and {text}: expected one", line)
                self.name = text
            case ["size", "width"]:
                self.width = text
            case ["size", "height"]:
                self.height = text
            case ["object", "name" | "difficult" | "bndbox" | "robndbox" as key] | [
                "object",
                "bndbox" | "robndbox",
                key,
            ]:
                self.objects[-1].texts.setdefault(key, []).append(text)
            case _:
                pass


def _parse(path: Path) -> _File:
    file = _File()
    parse_xml(path, file, root="annotation", format_name="Pascal VOC", max_bytes=MAX_BYTES_OF_TEXT)
    return file


def _is_voc(path: Path) -> bool:
    return _outermost(path) == b"annotation"


def _is_foreign(path: Path) -> bool:
    """Return whether an XML file is of another format; a file that is broken at its beginning is not."""
    return _outermost(path) not in {b"", b"annotation"} or format_of(path) is not None


def _outermost(path: Path) -> bytes:
    """Return the name of the outermost element, or of what looks like it; nothing where there is none."""
    element = _ELEMENT.search(beginning(path, 4096).replace(b"\0", b""))  # UTF-16 has zero bytes between
    return element[1] if element else b""
