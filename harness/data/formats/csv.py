"""CSV with one box per row: RetinaNet-style `path,x1,y1,x2,y2,class` without a header, or columns that a header names.

A row without a box and class is an image without boxes. The first row decides the delimiter.
"""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

from harness.data.formats.csv_header import Header, could_hold_boxes, read_header
from harness.data.formats.files import beginning, read_text
from harness.data.formats.recognise import format_of
from harness.data.formats.splits import find_files
from harness.data.image_names import IMAGE_SUFFIXES
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.data.formats.source import Source
    from harness.data.raw import RawAnnotations

_SUFFIXES = frozenset({".csv", ".tsv"})


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that are named after splits or lie in folders that are."""
    return find_files(path, "csv", _SUFFIXES, _is_box_csv)


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one CSV file.

    Raises:
        UnreadableError: the file is not a CSV of boxes: columns are missing, or it is not UTF-8.
    """
    path = str(source.annotations)
    rows = RawAnnotationRows(numbered_by="line", images=source.images)
    images: dict[str, int] = {}
    header: Header | None = None
    for line, row in _rows(read_text(source.annotations), path, findings):
        if header is None:
            header = read_header(row, source.columns, line)
            rows.written_as_sizes, rows.centred = header.kind != "corners", header.kind == "centre"
            if not header.is_row:
                continue
        width = header.cells
        cells = [*row, *[""] * (width - len(row))]
        name = cells[header.image]
        only_image = len(row) == 1 and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        if (len(row) < width and not only_image) or not name:
            detail = f"{len(row)} cells, expected {width}" if name else "no image named"
            findings.add("unreadable_annotation", Place(file=path, line=line, image=name or None, detail=detail))
            continue
        if name not in images:
            images[name] = rows.add_image(name, file=path, line=line, size=header.image_size(cells))
        label = cells[header.label]
        if label:
            rows.add_box(images[name], header.corners(cells), label, number=line)
        elif any(cells[column] for column in header.box):
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


def _delimiter(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def _is_box_csv(path: Path) -> bool:
    """Return whether the first row could hold a box or the names of a box's columns."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    first = beginning(path, 10_000).decode("utf-8-sig", errors="replace").partition("\n")[0]
    cells = [cell.strip(' "\r') for cell in first.split(_delimiter(first))]
    return could_hold_boxes(cells) and format_of(path) is None
