"""The page of a results folder as a reader sees it: its first screens, its tables, without any picture drawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.analysis.suite import SuiteAnalysis, analyse_suite
from harness.report import markdown
from harness.report.figures.drawn import Drawn
from harness.store.results import read_plan

if TYPE_CHECKING:
    from harness.store.paths import SuiteFolder

_NO_PICTURES = Drawn(paths={}, images=())


def page_of(folder: SuiteFolder, suite: SuiteAnalysis | None = None) -> str:
    """Return the page in markdown, of the analysis if it is given."""
    suite = suite or analyse_suite(folder)
    return markdown.render(
        suite.states[0].trial.suite,
        suite,
        figures={dataset.title: _NO_PICTURES for dataset in suite.datasets},
        root=folder.path,
        plan=read_plan(folder),
        problems=(),
        generated="now",
    )


def sections(page: str) -> dict[str, str]:
    """Return what stands under each heading of a dataset, by the heading."""
    found = dict(re.findall(r"^## (.*?)\n\n(.*?)(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE))
    return {title: text for title, text in found.items() if "### Accuracy and speed" in text}


def first_screens(page: str) -> dict[str, list[str]]:
    """Return the lines before the first table of each dataset, by its heading, without a banner."""
    return {
        title: [line for line in text.split("### Accuracy and speed")[0].splitlines() if line and line[0] != ">"]
        for title, text in sections(page).items()
    }


def tables(text: str, *headers: str) -> list[list[dict[str, str]]]:
    """Return the rows of each table whose first headers are these, as cells by header."""
    found = []
    for block in text.split("\n\n"):
        lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()]
        if block.startswith("| ") and tuple(lines[0][: len(headers)]) == headers:
            found.append([dict(zip(lines[0], line, strict=True)) for line in lines[2:]])
    return found


def main_tables(text: str) -> list[list[dict[str, str]]]:
    """Return the main table of a dataset, or of each group of rows whose speeds compare."""
    return tables(text, "architecture", "mAP [95 %]")


def pairs(text: str) -> list[dict[str, str]]:
    """Return the table of which differences are real."""
    return [row for table in tables(text, "architecture", "against") for row in table]
