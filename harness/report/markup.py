"""Markdown's mechanics: text from a file that does nothing, text as it stands, and tables that read well unrendered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.figures.drawn import Drawn
from harness.formatting import printable

# GitHub takes $ for a formula, and makes links of bare addresses.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "://": ":&#47;&#47;", "www.": "www&#46;"}


def escape(text: object) -> str:
    """Text from a file as markdown that shows it and does nothing."""
    plain = printable(text)
    for character, entity in _ENTITIES.items():
        plain = plain.replace(character, entity)
    plain = re.sub(r"[\\`*\[\]|~]", r"\\\g<0>", plain)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\_", plain)  # inside a word it is no emphasis


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A padded markdown table; the first `left` columns align left, the others right."""
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
    """A picture, where it was drawn."""
    return [f"![{escape(alt)}]({drawn.paths[kind]})"] if kind in drawn.paths else []


def fenced(text: str) -> str:
    """A block of text as it stands; its fence is longer than any in it."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def code(text: str) -> str:
    """A piece of text as it stands, on one line."""
    ticks = "`" * (_longest_ticks(text) + 1)
    pad = " " if len(ticks) > 1 else ""
    return f"{ticks}{pad}{' '.join(text.split())}{pad}{ticks}"


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
