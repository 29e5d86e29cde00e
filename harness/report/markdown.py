"""The page: an answer in words first, then the tables, the plot, what failed, and how everything was measured.

Owns wording, units and escaping. It reads well as text: columns are padded, lines before the tables are short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis import environments
from harness.analysis.frame import pareto_front
from harness.report.markup import escape, figure
from harness.report.sections import accuracy, data, errors, methodology, models, pairwise, speed, summary, thresholds
from harness.report.sections.summary import NOT_COMPARABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.suite import SuiteAnalysis
    from harness.report.figures.drawn import Drawn
    from harness.store.record import Record
    from harness.store.results import SuitePlan
from harness.report.sections.ranking import speed_table
from harness.report.sections.run import coverage, failures
from harness.report.sections.warnings import section


def render(
    name: str, found: SuiteAnalysis, *, drawn: Mapping[str, Drawn], root: Path, asked: SuitePlan, generated: str
) -> str:
    """The whole page.

    Args:
        drawn: the pictures of each dataset.
        root: the folder of the page, which log paths are given relative to.
        asked: the suite's file, for the commands that try a trial again, and its prices.
        generated: when, for the coverage line.
    """
    states, frame = found.states, found.frame
    parts = [f"# {escape(name)}: which detector to ship", coverage(states, found.others, generated)]
    if not frame.empty and frame["subset"].any():
        parts.append(
            f"> **Rehearsal, {NOT_COMPARABLE}:** rows marked *{NOT_COMPARABLE}* used only the first images of each "
            "split "
            "(`--limit`). They show that the suite runs; they say nothing about which detector is better."
        )
    for dataset in found.datasets:
        parts += _dataset(dataset, drawn[dataset.name], asked)
    parts += section(found)
    parts += failures(states, root, asked.suite_file)
    parts += methodology.footer(states)
    return "\n\n".join(parts) + "\n"


def _dataset(dataset: DatasetAnalysis, drawn: Drawn, asked: SuitePlan) -> list[str]:
    """Answers, then what they rest on."""
    rows = dataset.rows
    return [
        f"## {escape(dataset.name)}",
        *_environments([state.record for state in dataset.states if state.record]),
        *summary.section(dataset),
        "### Accuracy and speed",
        speed_table(rows, mixed=dataset.mixed),
        *figure(drawn, "speed-accuracy", f"Speed against accuracy on {dataset.name}, with the Pareto front"),
        *pairwise.section(dataset),
        *speed.sections(rows, pareto_front(rows[~rows["subset"]])),
        *accuracy.section(dataset),
        *_learning(drawn),
        *errors.section(dataset, drawn),
        *thresholds.section(dataset, drawn),
        *models.sections(rows, asked.cost),
        *data.section(dataset.name, dataset.states),
    ]


def _learning(drawn: Drawn) -> list[str]:
    found = figure(drawn, "learning", "Learning curves")
    return (
        ["### Learning curves", *found, "Means over seeds; the band reaches from the lowest to the highest."]
        if found
        else []
    )


def _environments(records: Sequence[Record]) -> list[str]:
    """A banner where speeds come from different environments."""
    found = environments.differences([record.environment for record in records])
    if not found:
        return []
    return [
        f"> **Not one ranking:** these trials ran in different environments ({escape('; '.join(found))}). Their "
        "accuracy compares; their speed, memory and energy do not."
    ]
