"""Write the report of a results folder, as markdown and as one HTML file, from what lies in the folder alone.

Photographs are the exception: those of a dataset of files are read from the dataset, and left out if they are gone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.report import html, markdown
from harness.report.figures import vega
from harness.report.figures.draw import draw
from harness.report.figures.seeds import seed_points
from harness.store import files
from harness.store.results import read_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.analysis.suite import SuiteAnalysis
    from harness.store.paths import SuiteFolder

_MAX_SHEET_BYTES = 1_000_000  # all sheets of images together; the HTML page holds each a second time


def write(folder: SuiteFolder, suite: SuiteAnalysis, problems: Sequence[str] = ()) -> Path:
    """Write `report.md`, its pictures and `report.html`, each replaced atomically; return the path of `report.md`.

    Args:
        folder: the results folder.
        suite: its analysis.
        problems: the stored files that could not be read, which the page names.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    if not suite.frame.empty and suite.frame["map"].notna().any():
        vega.prepare()
    figures = {
        dataset.title: draw(folder, dataset, max_bytes=_MAX_SHEET_BYTES // len(suite.datasets))
        for dataset in suite.datasets
    }
    name = suite.states[0].trial.suite if suite.states else folder.path.name
    text = markdown.render(
        name,
        suite,
        figures=figures,
        root=folder.path,
        plan=read_plan(folder),
        problems=problems,
        generated=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    files.replace(folder.report, text.encode())
    plots = {dataset.title: figures[dataset.title].paths.get("speed-accuracy") for dataset in suite.datasets}
    drawn = {path: dataset for dataset in suite.datasets if (path := plots[dataset.title]) is not None}
    page = html.render(
        text,
        title=f"{name}: which detector to ship",
        charts={path: dataset.rows for path, dataset in drawn.items()},
        seeds={path: seed_points(dataset) for path, dataset in drawn.items()},
        root=folder.path,
    )
    files.replace(folder.page, page.encode())
    return folder.report
