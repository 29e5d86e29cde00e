"""Read a CSV file of many million rows in columns, with the line of every row.

One row is one line: a cell cannot hold a line break.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data.formats.files import beginning, read_bytes, read_text
from harness.data.formats.source import UnreadableError
from harness.data.formats.values import number
from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

_MAX_HEADER = 10_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A column of texts.

    Attributes:
        distinct: the different texts, in the order in which they appear.
        indices: int64 [R], the index of each row's text.
    """

    distinct: tuple[str, ...]
    indices: NDArray[np.int64]

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Return bool [R], whether each row has a text."""
        return np.array([*map(bool, self.distinct), False])[self.indices]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The rows of a CSV file that have as many cells as its header.

    Attributes:
        lines: int64 [R], the line of each row.
        texts: the columns of text by their name.
        numbers: float64 [R], the columns of numbers by their name; NaN where a cell is empty or no number.
    """

    lines: NDArray[np.int64]
    texts: Mapping[str, Texts]
    numbers: Mapping[str, NDArray[np.float64]]


def header(path: Path) -> list[str]:
    """Return the words of a CSV file's first line; none where it has none."""
    first = beginning(path, _MAX_HEADER).decode("utf-8-sig", errors="replace").partition("\n")[0]
    return [word.strip().strip('"') for word in first.split(",")]


def read_columns(
    path: Path,
    findings: Findings,
    *,
    texts: Sequence[str],
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
    quoted: bool = False,
) -> Columns:
    """Read some columns of a CSV file with a header; rows of too few or too many cells are reported and left out.

    Args:
        path: the file.
        findings: receives the rows that cannot be read.
        texts: the names of columns of text.
        numbers: the names of columns of numbers.
        optional: the names of columns of numbers that the file may lack; they are NaN then.
        quoted: whether a cell in quotation marks may hold commas. Without it, a mark that is not closed costs no
            more than its own row.

    Raises:
        UnreadableError: the file is no text in UTF-8, or a column is missing.
    """
    import pyarrow as pa

    words = header(path)
    missing = [name for name in (*texts, *numbers) if name not in words]
    data = read_bytes(path)
    if b"\0" in data or not data.isascii():
        read_text(path)  # says which line is no text
    if missing:
        raise UnreadableError(f"no column {', '.join(missing)}; the header has {', '.join(words)[:200]}", 1)
    text_type = pa.dictionary(pa.int32(), pa.string())
    present = [*numbers, *(name for name in optional if name in words)]
    try:
        try:
            types = dict.fromkeys(texts, text_type) | dict.fromkeys(present, pa.float64())
            table, bad_rows = _table(data, words, types, quoted=quoted)
        except pa.ArrowInvalid:  # a cell that is no number
            table, bad_rows = _table(data, words, dict.fromkeys((*texts, *present), text_type), quoted=quoted)
    except pa.ArrowException as error:
        read_text(path)
        raise UnreadableError(f"no CSV: {error}") from None
    torn = [row for row in bad_rows if row.text.strip()]  # others are empty lines
    findings.add_many(
        "unreadable_annotation",
        len(torn),
        (
            Place(
                file=str(path), line=row.number, detail=f"{row.actual_columns} cells, expected {row.expected_columns}"
            )
            for row in torn
        ),
    )
    lines = np.arange(2, 2 + len(table) + len(bad_rows), dtype=np.int64)
    empty = np.full(len(table), np.nan)
    return Columns(
        lines=np.delete(lines, [row.number - 2 for row in bad_rows]),
        texts={name: _texts(table[name]) for name in texts},
        numbers={name: _numbers(table[name]) if name in present else empty for name in (*numbers, *optional)},
    )


def _table(data: bytes, words: list[str], types: dict[str, pa.DataType], *, quoted: bool) -> tuple[pa.Table, list[Any]]:
    """Return the table of the columns in `types`, and the rows that do not have one cell for each word."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    bad_rows: list[Any] = []

    def skip(row: Any) -> str:
        bad_rows.append(row)
        return "skip"

    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        read_options=arrow_csv.ReadOptions(use_threads=False, column_names=words, skip_rows=1),
        parse_options=arrow_csv.ParseOptions(
            quote_char='"' if quoted else False, ignore_empty_lines=False, invalid_row_handler=skip
        ),
        convert_options=arrow_csv.ConvertOptions(include_columns=list(types), column_types=types),
    )
    return table.unify_dictionaries().combine_chunks(), bad_rows


def _texts(column: pa.ChunkedArray) -> Texts:
    """Return a column of text without quotation marks and spaces around each."""
    if not column.num_chunks:
        return Texts(distinct=(), indices=np.zeros(0, dtype=np.int64))
    array = column.chunk(0)
    found = [text.strip().strip('"') for text in array.dictionary.to_pylist()]
    distinct = tuple(dict.fromkeys(found))
    number_of = {text: number for number, text in enumerate(distinct)}
    renumbered = np.array([number_of[text] for text in found] or [0], dtype=np.int64)
    return Texts(distinct=distinct, indices=renumbered[array.indices.to_numpy(zero_copy_only=False)])


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        values: NDArray[np.float64] = column.to_numpy()
        return values
    texts = _texts(column)
    return np.array([*map(number, texts.distinct), np.nan])[texts.indices]
