"""Check every relative link of README.md, CHANGELOG.md and docs/, without a network: `python docs/links.py`.

Owns files and anchors as GitHub shows them. Links to other sites are not followed. What Sphinx makes of the pages is
not looked at here: `make docs` turns its warnings into errors.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token  # noqa: TC002 - a parser's own type, loaded with it

ROOT = Path(__file__).resolve().parents[1]


def documents() -> list[Path]:
    """README.md, CHANGELOG.md and every page of docs/ that is not built."""
    pages = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts]
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *pages]


def broken_links(path: Path) -> list[str]:
    """One line for each relative link or image of a Markdown file whose file or anchor does not exist."""
    return [problem for target in _targets(path) if (problem := _problem(path, target))]


def _problem(path: Path, target: str) -> str | None:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if not place.exists():
        return f"{name}: {target}: no such file"
    if parts.fragment and (place.suffix != ".md" or unquote(parts.fragment) not in _anchors(place)):
        return f"{name}: {target}: no such heading"
    return None


def _targets(path: Path) -> list[str]:
    """Where the links and images of a file lead, in order."""
    children = [child for token in _tokens(path) if token.type == "inline" for child in token.children or ()]
    attributes = {"link_open": "href", "image": "src"}
    return [str(child.attrGet(attributes[child.type])) for child in children if child.type in attributes]


def _anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub and MyST make them: repeated ones are numbered."""
    tokens = _tokens(path)
    headings = [after for before, after in itertools.pairwise(tokens) if before.type == "heading_open"]
    anchors, counts = set(), Counter[str]()
    for heading in headings:
        text = "".join(child.content for child in heading.children or () if child.type in {"text", "code_inline"})
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        anchors.add(f"{anchor}-{counts[anchor]}" if counts[anchor] else anchor)
        counts[anchor] += 1
    return anchors


def _tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    problems = [problem for path in documents() for problem in broken_links(path)]
    sys.exit("\n".join(problems) or None)
