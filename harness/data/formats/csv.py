"""CSV with one box per row: RetinaNet-style `path,x1,y1,x2,y2,class` without a header, or named columns.

A row without a box and class is an image without boxes. The first row decides the delimiter.
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
    add_broken_files,
    beginning,
    files_under,
    group_by_split,
    number,
    read_text,
)
from harness.data.formats.recognise import format_of
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIXES = frozenset({".csv", ".tsv"})
COLUMNS = ("image", "x1", "y1", "x2", "y2", "class")
# Header words of TensorFlow's and Roboflow's exports, and those that people write by hand.
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
    """Find one file, or files named after splits."""
    if os.path.isfile(path):
        return {"all": Source(format="csv", annotations=path)} if _is_box_csv(path) else {}
    present = [path / name for name in files_under(path, _SUFFIXES)]
    files = [file for file in present if _is_box_csv(file)]
    splits = group_by_split(path, add_broken_files(files, present, path), single=True)
    return {name: Source(format="csv", annotations=file) for name, file in splits.items()}


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one CSV file.

    Raises:
        UnreadableError: the file is not a CSV of boxes: columns are missing, or it is not UTF-8.
    """
    path = str(source.annotations)
    rows = RawAnnotationRows(numbered_by="line", images=source.images)
    images: dict[str, int] = {}
    columns: Mapping[str, int] | None = None
    for line, row in _rows(read_text(source.annotations), path, findings):
        if columns is None:
            columns, header = _positions(row, source.columns, line)
            if header:
                continue
        width = max(columns.values()) + 1
        cells = [*row, *[""] * (width - len(row))]
        name = cells[columns["image"]]
        only_image = len(row) == 1 and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        if (len(row) < width and not only_image) or not name:
            detail = f"{len(row)} cells, expected {width}" if name else "no image named"
            findings.add("unreadable_annotation", Place(file=path, line=line, image=name or None, detail=detail))
            continue
        if name not in images:
            images[name] = rows.add_image(name, file=path, line=line, size=_size(cells, columns))
        label, sides = cells[columns["class"]], [cells[columns[side]] for side in COLUMNS[1:5]]
        if label:
            left, top, right, bottom = map(number, sides)
            rows.add_box(images[name], (left, top, right, bottom), label, number=line)
        elif any(sides):
            findings.add("unreadable_annotation", Place(file=path, line=line, image=name, detail="box without class"))
    return rows.build()


def _rows(text: str, path: str, findings: Findings) -> Iterator[tuple[int, list[str]]]:
    """Yield every row that is not empty, with its line number."""
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
    """Return the position of each column, and whether the first row is a header.

    Raises:
        UnreadableError: a column is missing.
    """
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


def _size(cells: Sequence[str], columns: Mapping[str, int]) -> tuple[int, int]:
    """Return the image's (width, height); (0, 0) if the row has none."""
    sides = [number(cells[columns[name]]) if name in columns else 0.0 for name in ("width", "height")]
    return (int(sides[0]), int(sides[1])) if all(0 < side < 2**31 for side in sides) else (0, 0)


def _delimiter(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def _is_box_csv(path: Path) -> bool:
    """Return whether the first row could hold a box or the names of a box's columns."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    first = beginning(path, 10_000).decode("utf-8-sig", errors="replace").partition("\n")[0]
    return first.count(_delimiter(first)) >= len(COLUMNS) - 1 and format_of(path) is None
