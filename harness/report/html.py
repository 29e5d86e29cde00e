"""The page as one HTML file that works alone: it needs no network, and no other file except the logs that it links to.

Owns the conversion from markdown: headings with anchors, tables that the page's script sorts and filters, embedded
images. Its look and its controls are in `assets/`; its words come from `harness.report.markdown`.

Text from data cannot become active, for three reasons: the markdown parser passes no HTML through, links can only lead
to files and web pages, and the file's security policy allows only the scripts written here, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.report.figures import interactive, vega

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

_MIN_FILTERED_ROWS = 9  # a table of this many rows or more has a filter
_MAX_ONE_LINE = 40  # a cell of at most this many characters stays on one line
_IMAGES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_LINKS = {"", "http", "https"}
_CONTENTS = {"h2": 2, "h3": 3}
_CELLS = {"th_open", "td_open"}
_ESSENTIAL = re.compile(r"(mAP|rank|latency)\b")  # columns that a telephone shows beside the first one
_ALL_COLUMNS = '<label class="columns"><input type="checkbox" autocomplete="off"> all columns</label>\n'


def render(
    text: str,
    *,
    title: str,
    charts: Mapping[str, pd.DataFrame],
    root: Path,
    seeds: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """Return the report as one HTML file; the same arguments and files give the same bytes.

    Args:
        text: the whole report in markdown, as `report.md` holds it.
        title: plain text for the browser's tab.
        charts: the configurations of a dataset by the path of its static picture, as the text's image link names it;
            where scripts run, an interactive picture of them replaces the static one.
        root: the folder of `report.md`, which image paths are relative to; no file outside it is read.
        seeds: the single seeds (`seeds.seed_points`) of a dataset, by the same paths.
    """
    made = {path: interactive.speed_accuracy(rows, (seeds or {}).get(path)) for path, rows in charts.items()}
    drawn = {path: chart for path, chart in made.items() if chart is not None}
    parser = _parser()
    tokens = parser.parse(text)
    contents = _anchor(tokens)
    tokens = list(_wrap_tables(_place_images(tokens, drawn, root)))
    body = parser.renderer.render(tokens, parser.options, {})
    plain = "".join(character if character.isprintable() else " " for character in title)
    return _document(plain, contents=contents, body=body, plots='<figure class="plot">' in body)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _allowed  # type: ignore[method-assign]
    return parser


def _allowed(url: str) -> bool:
    """Whether a URL may become a link; `javascript:`, `data:`, `file:` and all other schemes stay text."""
    try:
        return urlsplit(url).scheme in _LINKS
    except ValueError:
        return False


def _anchor(tokens: Sequence[Token]) -> str:
    """Give each heading an id and a link to itself; return the items of a table of contents."""
    used: set[str] = set()
    lines: list[str] = []
    for opened, inline in itertools.pairwise(tokens):
        if opened.type != "heading_open":
            continue
        name = _plain(inline)
        slug = _unused(re.sub(r"\W+", "-", name.lower()).strip("-") or "section", used)
        opened.attrSet("id", slug)
        link = Token("html_inline", "", 0, content=f'<a class="anchor" href="#{slug}" aria-label="Link to here"></a>')
        inline.children = [*(inline.children or ()), link]
        if opened.tag in _CONTENTS:
            lines.append(f'<li class="{opened.tag}"><a href="#{slug}">{escape(name)}</a></li>')
    return "\n".join(lines)


def _plain(inline: Token) -> str:
    """Return the text of a line or an image without its markup."""
    return "".join(child.content for child in inline.children or () if child.type != "html_inline")


def _unused(slug: str, used: set[str]) -> str:
    numbered, number = slug, 1
    while numbered in used:
        number += 1
        numbered = f"{slug}-{number}"
    used.add(numbered)
    return numbered


def _place_images(tokens: Sequence[Token], drawn: Mapping[str, dict[str, Any]], root: Path) -> list[Token]:
    """Embed every image's file; an image that stands alone becomes a figure, with its chart if it has one."""
    placed = list(tokens)
    for position, token in enumerate(tokens):
        images = [child for child in token.children or () if child.type == "image"]
        for image in images:
            path = unquote(str(image.attrGet("src")))
            image.type, image.content = "html_inline", _image(path, _plain(image), root)
            if len(token.children or ()) == 1 and tokens[position - 1].type == "paragraph_open":
                content = _figure(image.content, drawn.get(path))
                placed[position - 1 : position + 2] = [_html(), _html(content), _html()]
    return placed


def _html(content: str = "") -> Token:
    return Token("html_block", "", 0, content=content)


def _image(path: str, alt: str, root: Path) -> str:
    """Return the image with its file as a data URI, or its alternative text if there is no such file below the root."""
    try:
        file = (root / path).resolve()
        kind = _IMAGES[file.suffix.lower()]
        inside = file.is_relative_to(root.resolve())
        content = file.read_bytes() if inside else b""
    except (OSError, ValueError, KeyError):
        content = b""
    if not content:
        return f'<em class="missing">{escape(alt)}</em>'
    return f'<img src="data:{kind};base64,{base64.b64encode(content).decode()}" alt="{escape(alt)}">'


def _figure(image: str, drawn: dict[str, Any] | None) -> str:
    """Return a figure: the image, for print and browsers without scripts, and the chart, hidden until it is drawn."""
    if drawn is None:
        return f"<figure>{image}</figure>\n"
    choices = "".join(f'<option value="{axis["name"]}">{escape(axis["choice"])}</option>' for axis in drawn["axes"])
    return (
        f'<figure class="plot">{image}\n<div class="interactive" hidden>\n<div class="controls">\n'
        f'<label>Against <select class="axis" autocomplete="off">{choices}</select></label>\n'
        '<label><input type="checkbox" class="log" autocomplete="off"> logarithmic</label>\n'
        '<label><input type="checkbox" class="labels" autocomplete="off" checked> names</label>\n</div>\n'
        f'<div class="drawing"></div>\n<figcaption>{escape(drawn["caption"])}</figcaption>\n'
        f'</div>\n<script type="application/json">{_json(drawn)}</script>\n</figure>\n'
    )


def _json(content: Any) -> str:
    """Return JSON that cannot end a script element: only ASCII, and no `<`."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _wrap_tables(tokens: Sequence[Token]) -> Iterable[Token]:
    """Put each table into a box that scrolls and is named by its heading.

    Long tables, and the first table of each dataset, also get a filter. The first table's columns that a narrow screen
    has no room for are marked, and a box to tick shows them there.
    """
    heading, first, extra, column = "", False, set[int](), 0
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _plain(tokens[position + 1])
            first = first or token.tag == "h2"
        if token.type == "table_open":
            headers, rows = _shape(tokens[position:])
            data_filter = " data-filter" if first or rows >= _MIN_FILTERED_ROWS else ""
            extra = {n for n, name in enumerate(headers) if n and not _ESSENTIAL.match(name)} if first else set()
            first = False
            yield _html(f'<div class="table" role="region" tabindex="0" aria-label="{escape(heading)}"{data_filter}>\n')
            yield _html(_ALL_COLUMNS if extra else "")
        column = 0 if token.type == "tr_open" else column
        if token.type in _CELLS:
            _mark_cell(token, tokens[position + 1].content, extra=column in extra)
            column += 1
        yield token
        if token.type == "table_close":
            yield _html("</div>\n")


def _mark_cell(token: Token, content: str, *, extra: bool) -> None:
    """Give a cell the classes that say how it is laid out."""
    if (
        token.type == "td_open" and len(content) <= _MAX_ONE_LINE and ", " not in content
    ):  # a list may take several lines
        token.attrJoin("class", "short")
    if extra:
        token.attrJoin("class", "extra")


def _shape(tokens: Sequence[Token]) -> tuple[list[str], int]:
    """Return the names of the columns of the table that begins here, and the number of its rows."""
    kinds = [token.type for token in tokens]
    table = tokens[: kinds.index("table_close")]
    names = [_plain(inline) for opened, inline in itertools.pairwise(table) if opened.type == "th_open"]
    return names, sum(token.type == "tr_open" for token in table) - 1


def _document(title: str, *, contents: str, body: str, plots: bool) -> str:
    page, style = _asset("page.js"), _asset("page.css")
    libraries = vega.libraries() if plots else None
    modules = [libraries, _asset("plot.js")] if libraries else []
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in (page, *modules))
    # Inline styles are allowed, because markdown aligns table cells with them and Vega styles its picture with them.
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
    scripts = "".join(f'<script type="module">{module}</script>\n' for module in modules)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{style}</style>
<script>{page}</script>
</head>
<body>
<button type="button" class="theme" hidden aria-label="Switch between light and dark">◐</button>
<nav aria-label="Contents"><ul>
{contents}
</ul></nav>
<main>
{body}</main>
{scripts}</body>
</html>
"""


def _asset(name: str) -> str:
    return resources.files("harness.report").joinpath("assets", name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
