"""CSV, a row a box: RetinaNet-style `path,x1,y1,x2,y2,class` without a header, or with columns that have names.

A row without box and class is an image without boxes. The delimiter is the one that the first row shows.
"""

from __future__ import annotations

import csv
import io
import math
import os
from typing import TYPE_CHECKING

from harness.data.formats.reading import (
    IMAGE_SUFFIXES,
    Source,
    UnreadableError,
    by_split,
    files_under,
    number,
    read_text,
    with_broken,
)
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIXES = frozenset({".csv", ".tsv"})
COLUMNS = ("image", "x1", "y1", "x2", "y2", "class")
# Header words in use: TensorFlow's and Roboflow's exports, and what people write by hand.
_WORDS = {
    "image": ("image", "path", "filename", "file_name", "file", "image_path", "image_name", "imageid"),
    "x1": ("x1", "xmin", "x_min", "left"),
    "y1": ("y1", "ymin", "y_min", "top"),
    "x2": ("x2", "xmax", "x_max", "right"),
    "y2": ("y2", "ymax", "y_max", "bottom"),
    "class": ("class", "label", "class_name", "name", "category"),
    "width": ("width", "image_width"),
    "height": ("height", "image_height"),
}


def find(path: Path) -> dict[str, Source]:
    """One file, or files named after splits."""
    if os.path.isfile(path):
        return {"all": Source(format="csv", annotations=path)} if _looks(path) else {}
    present = [path / name for name in files_under(path, _SUFFIXES)]
    files = [file for file in present if _looks(file)]
    found = by_split(path, with_broken(files, present, path), single=True)
    return {name: Source(format="csv", annotations=file) for name, file in found.items()}


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one CSV file.

    Raises:
        UnreadableError: it is no CSV of boxes: columns are missing, or it is not UTF-8.
    """
    path = str(source.annotations)
    rows = RawAnnotationRows(numbered_by="line", images=source.images)
    images: dict[str, int] = {}
    at: Mapping[str, int] | None = None
    for line, found in _rows(read_text(source.annotations), path, findings):
        if at is None:
            at, header = _positions(found, source.columns, line)
            if header:
                continue
        width = max(at.values()) + 1
        cells = [*found, *[""] * (width - len(found))]
        name = cells[at["image"]]
        alone = len(found) == 1 and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        if (len(found) < width and not alone) or not name:
            detail = f"{len(found)} cells, expected {width}" if name else "no image named"
            findings.add("unreadable_annotation", Place(file=path, line=line, image=name or None, detail=detail))
            continue
        if name not in images:
            images[name] = rows.add_image(name, file=path, line=line, size=_size(cells, at))
        label, sides = cells[at["class"]], [cells[at[side]] for side in COLUMNS[1:5]]
        if label:
            left, top, right, bottom = map(number, sides)
            rows.add_box(images[name], (left, top, right, bottom), label, number=line)
        elif any(sides):
            findings.add("unreadable_annotation", Place(file=path, line=line, image=name, detail="box without class"))
    return rows.labels()


def _rows(text: str, path: str, findings: Findings) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not empty, with its line."""
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=True)
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            findings.add("unreadable_annotation", Place(file=path, line=reader.line_num, detail=str(error)))
            continue
        if any("\n" in cell for cell in cells):
            detail = "a cell of several lines: a quotation mark is not closed"
            findings.add("unreadable_annotation", Place(file=path, line=reader.line_num, detail=detail))
        elif any(cells):
            yield reader.line_num, cells


def _positions(first: Sequence[str], columns: Mapping[str, str] | None, line: int) -> tuple[dict[str, int], bool]:
    """Where each column stands, and whether the first row is a header."""
    lowered = [cell.lower() for cell in first]
    named = {
        name: next(lowered.index(word) for word in words if word in lowered)
        for name, words in _WORDS.items()
        if any(word in lowered for word in words)
    }
    for name, text in (columns or {}).items():
        if text not in first:
            raise UnreadableError(f"no column {text} (for {name}); the header has {', '.join(first)[:200]}", line)
        named[name] = first.index(text)
    if all(name in named for name in COLUMNS):
        return named, True
    plain = dict(zip(COLUMNS, range(len(COLUMNS)), strict=True))
    is_row = len(first) == len(plain) and not any(cell and math.isnan(number(cell)) for cell in first[1:5])
    if not columns and (is_row or len(first) == 1):
        return plain, False
    missing = ", ".join(name for name in COLUMNS if name not in named)
    raise UnreadableError(
        f"expected rows of {','.join(COLUMNS)}, or a header; got {','.join(first)[:200]}, without {missing}; name the "
        "columns in the suite (columns: {image: …, x1: …})",
        line,
    )


def _size(cells: Sequence[str], at: Mapping[str, int]) -> tuple[int, int]:
    sides = [number(cells[at[name]]) if name in at else 0.0 for name in ("width", "height")]
    return (int(sides[0]), int(sides[1])) if all(0 < side < 2**31 for side in sides) else (0, 0)


def _delimiter(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def _looks(path: Path) -> bool:
    """Whether the first row could be a box, or names columns of one."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            first = stream.readline(10_000)
    except OSError:
        return False
    return first.count(_delimiter(first)) >= len(COLUMNS) - 1
