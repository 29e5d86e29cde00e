"""Pieces of markdown: escaped text, code and fenced blocks, images, and tables that read well as plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.figures.drawn import Drawn
from harness.formatting import printable, visible

# GitHub takes $ for a formula, and makes links of bare addresses.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "://": ":&#47;&#47;", "www.": "www&#46;"}


def escape(text: object) -> str:
    """Escape text from a file, so that markdown shows it as it is and it has no other effect."""
    plain = printable(text)
    for character, entity in _ENTITIES.items():
        plain = plain.replace(character, entity)
    plain = re.sub(r"[\\`*\[\]|~]", r"\\\g<0>", plain)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\_", plain)  # inside a word, _ does not mean emphasis


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return a padded markdown table; the first `left` columns are aligned left, the others right."""
    widths = [max(3, *(len(row[column]) for row in (header, *rows))) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        ":" + "-" * (width - 1) if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)
    ]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def figure(drawn: Drawn, kind: str, alt: str) -> list[str]:
    """Return the image link of a picture; empty if it was not drawn."""
    return [f"![{escape(alt)}]({drawn.paths[kind]})"] if kind in drawn.paths else []


def fenced(text: str) -> str:
    """Return the text as a literal block, whose fence is longer than any fence in the text; a terminal shows it too."""
    text = visible(text)
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def code(text: str) -> str:
    """Return the text as inline code on one line."""
    text = visible(text)
    ticks = "`" * (_longest_ticks(text) + 1)
    pad = " " if len(ticks) > 1 else ""
    return f"{ticks}{pad}{' '.join(text.split())}{pad}{ticks}"


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
