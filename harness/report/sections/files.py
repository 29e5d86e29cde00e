"""The page's lines on stored files that could not be read, under its warnings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.formatting import short_name
from harness.report.markup import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_LINE = 400  # characters
_HEADING = "## Warnings"
_LATER = re.compile(r"^## (What did not succeed|How it was measured)", re.MULTILINE)


def with_problems(text: str, problems: Sequence[str], root: Path) -> str:
    """Return the page with a line for each problem: under its warnings, or in a section of their own.

    Args:
        text: the page.
        problems: what `harness.store.problems` collected.
        root: the results folder; the files are named from there.
    """
    lines = [f"- {escape(short_name(problem.replace(f'{root}/', ''), _MAX_LINE))}" for problem in problems]
    if not lines:
        return text
    listed = "\n".join(lines)
    if f"\n{_HEADING}\n\n" in text:
        return text.replace(f"\n{_HEADING}\n\n", f"\n{_HEADING}\n\n{listed}\n", 1)
    later = _LATER.search(text)
    place = later.start() if later else len(text)
    return f"{text[:place]}{_HEADING}\n\n{listed}\n\n{text[place:]}"
