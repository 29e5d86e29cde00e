"""Write a results folder's page and plots from what lies in it: a pure function of the records."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.report import compare, markdown, plots
from harness.store import files
from harness.store.results import State, covered, read_plan, read_results

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from harness.store.files import SuiteFolder


def write(folder: SuiteFolder) -> Path:
    """Render `report.md` and its plots, each replaced atomically; returns the page's path.

    Raises:
        MachineError: the folder cannot be written.
    """
    found, asked = read_results(folder), read_plan(folder)
    states = covered(found)
    frame = compare.configuration_frame(compare.trial_frame(states, folder))
    drawn = _draw(folder, frame)
    page = markdown.render(
        _name(folder, states),
        states,
        frame,
        others=len(found) - len(states),
        plots=drawn,
        root=folder.path,
        asked=asked,
        generated=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    files.replace(folder.report, page.encode())
    return folder.report


def _draw(folder: SuiteFolder, frame: pd.DataFrame) -> dict[str, str]:
    drawn: dict[str, str] = {}
    for dataset in dict.fromkeys(frame["dataset"] if not frame.empty else ()):
        picture = plots.speed_accuracy(frame[frame["dataset"] == dataset], f"{dataset}: speed against accuracy")
        if picture is not None:
            path = folder.plots / f"speed-accuracy-{re.sub(r'[^A-Za-z0-9._-]', '_', dataset)}.svg"
            files.make_folder(folder.plots)
            files.replace(path, picture)
            drawn[dataset] = str(path.relative_to(folder.path))
    return drawn


def _name(folder: SuiteFolder, states: tuple[State, ...]) -> str:
    return states[0].trial.suite if states else folder.path.name
