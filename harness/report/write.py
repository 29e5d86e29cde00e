"""Write a results folder's report, as markdown and as one HTML file: a pure function of what lies in the folder.

But for photographs: those of a dataset of files are read from where they lay, and left out where they are gone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.report import html, markdown
from harness.report.figures import interactive
from harness.report.figures.draw import draw
from harness.store import files
from harness.store.results import read_plan

if TYPE_CHECKING:
    from pathlib import Path

    from harness.analysis.suite import SuiteAnalysis
    from harness.store.paths import SuiteFolder

_SHEET_BYTES = 1_000_000  # of all sheets of images together: the HTML page holds each once more


def write(folder: SuiteFolder, found: SuiteAnalysis) -> Path:
    """Render `report.md`, its pictures and `report.html`, each replaced atomically; returns the path of the first.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    if not found.frame.empty and found.frame["map"].notna().any():
        interactive.prepare()
    drawn = {
        dataset.name: draw(folder, dataset, max_bytes=_SHEET_BYTES // len(found.datasets)) for dataset in found.datasets
    }
    name = found.states[0].trial.suite if found.states else folder.path.name
    text = markdown.render(
        name,
        found,
        drawn=drawn,
        root=folder.path,
        asked=read_plan(folder),
        generated=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    files.replace(folder.report, text.encode())
    plots = {dataset.name: drawn[dataset.name].paths.get("speed-accuracy") for dataset in found.datasets}
    charts = {path: dataset.rows for dataset in found.datasets if (path := plots[dataset.name]) is not None}
    page = html.render(text, title=f"{name}: which detector to ship", charts=charts, root=folder.path)
    files.replace(folder.page, page.encode())
    return folder.report
