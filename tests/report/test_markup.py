"""Names from data have no effect in any output: markdown, HTML, pictures, CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from markdown_it import MarkdownIt

from harness import api
from harness.report.markup import code, fenced
from harness.store.paths import SuiteFolder
from harness.store.record import MeasurementWarning
from tests.report.made import drawn_detections, drawn_labels, of_classes, write
from tests.store.make import make_folder, make_outcome, make_record, make_trial

NAMES = (
    "a|b", "`tick`", "<script>alert(1)</script>", "[x](javascript:alert(1))", "new\nline", "=cmd()", "💥 emoji",
    "\u202egpj.exe\u200f", "![](http://evil/x.png)", "</script><!--", "$\\sqrt{x}$", "www.evil.example", "&lt;b&gt;",
    "_em_ **bold**", "<img src=x onerror=alert(1)>", "https://evil.example/?a=1", "# heading", "\x1b[31mred", "@A1",
)  # fmt: skip


class _Tags(html.parser.HTMLParser):
    """Collects every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def _report(root: Path) -> SuiteFolder:
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=len(NAMES), classes=len(NAMES), names=NAMES, max_boxes=6)
    truth = dataclasses.replace(truth, images=NAMES)
    warning = MeasurementWarning(name="unstable", reason="; ".join(NAMES))
    record = of_classes(make_record(make_trial(dataset=NAMES[2]), warnings=(warning,)), truth)
    record = dataclasses.replace(record, trial=dataclasses.replace(record.trial, trial_id="hostile-1"))
    folder = make_folder(
        root, [record], failed=((make_trial("fasterrcnn_resnet50_fpn"), make_outcome(reason=warning.reason)),)
    )
    write(folder, record, truth, drawn_detections(rng, truth))
    return folder


def test_names_from_data_have_no_effect(tmp_path: Path) -> None:
    """They add no tag, link, picture, formula or row."""
    folder = _report(tmp_path)
    places = {"csv": tmp_path / "x.csv", "json": tmp_path / "x.json", "latex": tmp_path / "x.tex"}
    text = api.report(folder.path, exports=places).read_text()

    tags = _Tags()
    tags.feed(
        MarkdownIt("gfm-like", {"linkify": False}).render(text)
    )  # this parser passes HTML through, as GitHub does in part
    assert {tag for tag, _ in tags.elements} <= {
        "h1", "h2", "h3", "p", "ul", "li", "strong", "em", "code", "pre", "a", "img", "blockquote", "br",
        "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert all(str(fields["href"]).startswith(("trials/", "#warnings")) for tag, fields in tags.elements if tag == "a")
    assert all(str(fields["src"]).startswith("plots/") for tag, fields in tags.elements if tag == "img")
    for block in text.split("\n\n"):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block
    assert "\u202e" not in text
    assert "://" not in re.sub(r"(?s)`[^`]*`|```.*?```", "", text)

    page = (tmp_path / "report.html").read_text()
    tags = _Tags()
    tags.feed(page)
    assert not [fields for _, fields in tags.elements if any(name.startswith("on") for name in fields)]
    assert not [fields for _, fields in tags.elements if "javascript" in str(fields.get("href", ""))]
    assert not [fields for tag, fields in tags.elements if tag == "img" and not str(fields["src"]).startswith("data:")]
    assert "<script>alert" not in page
    assert "\u202e" not in page

    for picture in folder.plots.glob("*.svg"):
        root = ET.fromstring(picture.read_bytes())
        assert not [e for e in root.iter() if e.tag.rpartition("}")[2] in {"script", "image", "a", "text"}], picture

    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell[:1] in {"=", "+", "@", "\t"}]
    json.loads((tmp_path / "x.json").read_text())
    assert "<script>" not in (tmp_path / "x.tex").read_text()


def test_code_and_literal_blocks_hold_no_commands_to_a_terminal() -> None:
    """A traceback quotes the texts of foreign exceptions, and a page is read in terminals too."""
    hostile = "a\x1b]52;c;x\x07\n\u202eb\u200b\x9b2J"
    for shown in (fenced(hostile), code(hostile)):
        assert all(letter.isprintable() or letter == "\n" for letter in shown)
        assert r"\x1b]52;c;x\x07" in shown
