"""What README and the pages of docs/ promise about themselves: short, linked, and true to the committed example."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from harness.data.problem_codes import CODES
from tests.conftest import ROOT

README = ROOT / "README.md"
EXAMPLE = ROOT / "results" / "examples" / "quickstart"
LINKS = runpy.run_path(str(ROOT / "docs" / "links.py"))
MOST_BYTES = 8192


def test_readme_is_one_screen_and_a_bit() -> None:
    """Whatever does not fit belongs in docs/."""
    assert README.stat().st_size <= MOST_BYTES


@pytest.mark.parametrize("path", LINKS["documents"](), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    """As GitHub shows the files; links to other sites are not followed."""
    assert LINKS["broken_links"](path) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    """The check of links can fail, for each kind of link."""
    (tmp_path / "other.md").write_text("# A heading\n\n## Twice: `x_y`\n\n## Twice: `x_y`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n[a](other.md#a-heading) [b](other.md#twice-x_y-1) [c](#page) [d](https://example.org/none)\n\n"
        "[e](other.md#missing) ![f](missing.png) [g](#none)\n\n```text\n[h](inside-code.md)\n```\n"
    )
    targets = [line.split(": ")[1] for line in LINKS["broken_links"](page)]
    assert targets == ["other.md#missing", "missing.png", "#none"]


def test_readme_shows_the_committed_example() -> None:
    """Every quoted line and every row of the result stands in the example's page, number for number."""
    page = (EXAMPLE / "report.md").read_text(encoding="utf-8").splitlines()
    result = README.read_text(encoding="utf-8").partition("## The result")[2].partition("## ")[0]
    shown = [line.removeprefix("> ") for line in result.splitlines() if line.startswith(("> ", "|"))]
    assert shown
    assert [line for line in shown if line not in page] == []


def test_every_check_code_is_explained() -> None:
    """With its severity: the codes of errors in the first table, those of warnings in the second."""
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    tables = {name: text.partition(f"| {name} | meaning |")[2].partition("\n\n")[0] for name in ("error", "warning")}
    for severity, table in tables.items():
        codes = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert codes == [name for name, code in CODES.items() if code.severity == severity]
