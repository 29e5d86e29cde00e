"""CSV, a row a box: RetinaNet-style `path,x1,y1,x2,y2,class` without a header, or with columns that have names.

A row without box and class is an image without boxes. The delimiter is the one that the first row shows.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from harness.data.formats.reading import (
    Source,
    UnreadableError,
    by_split,
    files_under,
    number,
    read_text,
    with_unrecognised,
)
from harness.data.labels import LabelRows
from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.labels import Labels

_SUFFIXES = frozenset({".csv", ".tsv"})
COLUMNS = ("image", "x1", "y1", "x2", "y2", "class")
# Header words in use: TensorFlow's and Roboflow's exports, Open Images, and what people write by hand.
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
    if path.is_file():
        return {"all": Source(format="csv", annotations=path)} if _looks(path) else {}
    present = [path / name for name in files_under(path, _SUFFIXES)]
    files = [file for file in present if _looks(file)]
    found = by_split(path, with_unrecognised(files, present, path), single=True)
    return {name: Source(format="csv", annotations=file) for name, file in found.items()}


def read(source: Source, findings: Findings) -> Labels:
    """Read one CSV file.

    Raises:
        UnreadableError: it is no CSV of boxes: columns are missing, or it is not UTF-8.
    """
    path = str(source.annotations)
    rows = LabelRows(numbered_by="line", images=source.images)
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
        if 1 < len(found) < width or not name:
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
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            findings.add("unreadable_annotation", Place(file=path, line=reader.line_num, detail=str(error)))
            continue
        if any(cells):
            yield reader.line_num, cells


def _positions(first: Sequence[str], columns: Mapping[str, str] | None, line: int) -> tuple[dict[str, int], bool]:
    """Where each column stands, and whether the first row is a header."""
    lowered = [cell.lower() for cell in first]
    if columns:
        wanted = {**{name: name for name in COLUMNS}, **columns}
        missing = [f"{text} (for {name})" for name, text in wanted.items() if text not in first]
        if missing:
            raise UnreadableError(f"no column {', '.join(missing)}; the header has {', '.join(first)}", line)
        return {name: list(first).index(text) for name, text in wanted.items()}, True
    named = {
        name: next(lowered.index(word) for word in words if word in lowered)
        for name, words in _WORDS.items()
        if any(word in lowered for word in words)
    }
    if all(name in named for name in COLUMNS):
        return named, True
    if len(first) in {1, len(COLUMNS)}:
        return {name: position for position, name in enumerate(COLUMNS)}, False
    raise UnreadableError(
        f"expected {','.join(COLUMNS)}, or a header; got {','.join(first)[:200]}; "
        "name the columns in the suite (columns: {image: …, x1: …})",
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
