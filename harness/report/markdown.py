"""The page as markdown: the answer in words first, then tables and plots, what failed, and how it was measured.

Owns the order of the sections. The page also reads well as plain text: columns are padded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import short_name
from harness.report.markup import escape, figure
from harness.report.sections import (
    accuracy,
    data,
    errors,
    methodology,
    models,
    pairwise,
    speed,
    summary,
    thresholds,
    training,
    tuning,
    warnings,
)
from harness.report.sections.summary import NOT_COMPARABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.suite import SuiteAnalysis
    from harness.report.figures.drawn import Drawn
    from harness.store.results import SuitePlan
from harness.report.sections.ranking import main_tables
from harness.report.sections.run import coverage, failures


def render(
    name: str,
    suite: SuiteAnalysis,
    *,
    figures: Mapping[str, Drawn],
    root: Path,
    plan: SuitePlan,
    problems: Sequence[str],
    generated: str,
) -> str:
    """Return the whole page.

    Args:
        name: the name of the suite.
        suite: the results to report.
        figures: the pictures of each dataset, by its name.
        root: the folder of the page; the paths of logs are relative to it.
        plan: the suite's file, which the commands that repeat a trial name, and its prices.
        problems: the stored files that could not be read.
        generated: when the page is written, for its first line.
    """
    states, frame = suite.states, suite.frame
    parts = [f"# {escape(name)}: which detector to ship", coverage(states, suite.n_other_trials, generated)]
    if not frame.empty and frame["subset"].any():
        parts.append(
            f"> **Subset, {NOT_COMPARABLE}:** rows marked *{NOT_COMPARABLE}* used only the first images of each split "
            "(`--max-images`). They show that the suite runs; they say nothing about which detector is better."
        )
    for dataset in suite.datasets:
        parts += _dataset(dataset, figures[dataset.title], plan)
    parts += tuning.section(suite.searches, plan.search)
    parts += warnings.section(suite, problems, root)
    parts += failures(states, root, plan.suite_file)
    parts += methodology.footer([state for state in states if state.trial.search is None])
    return "\n\n".join(parts) + "\n"


def _dataset(dataset: DatasetAnalysis, drawn: Drawn, plan: SuitePlan) -> list[str]:
    """Return all sections on one dataset: the answer first, then the numbers that it is based on."""
    rows = dataset.rows
    return [
        f"## {escape(_title(dataset))}",
        *_apart(dataset),
        *summary.section(dataset),
        "### Accuracy and speed",
        *main_tables(dataset),
        *figure(drawn, "speed-accuracy", f"Speed against accuracy on {_title(dataset)}, with the Pareto front"),
        *pairwise.section(dataset),
        *speed.sections(dataset),
        *accuracy.section(dataset),
        *_learning(drawn),
        *errors.section(dataset, drawn),
        *thresholds.section(dataset, drawn),
        *training.section(dataset),
        *models.sections(rows, plan.cost),
        *data.section(dataset.name, dataset.states),
    ]


def _title(dataset: DatasetAnalysis) -> str:
    """Return the dataset's name, shortened, and in full what distinguishes this table from its others."""
    name = short_name(dataset.name)
    return f"{name}: {dataset.conditions}" if dataset.conditions else name


def _learning(drawn: Drawn) -> list[str]:
    picture = figure(drawn, "learning", "Learning curves")
    if not picture:
        return []
    return ["### Learning curves", *picture, "Means over seeds; the band reaches from the lowest seed to the highest."]


def _apart(dataset: DatasetAnalysis) -> list[str]:
    """Return a banner if other rows of the dataset stand in another table."""
    if not dataset.apart:
        return []
    return [
        f"> **Not one ranking:** other rows of this dataset stand apart, because their accuracy does not compare "
        f"({escape('; '.join(dataset.apart))})."
    ]
