"""The page's section on warnings: those of each row with their reasons, and records that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import short_name
from harness.report.markup import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.analysis.suite import SuiteAnalysis


_MAX_LINE = 400  # characters


def section(suite: SuiteAnalysis, problems: Sequence[str], root: Path) -> list[str]:
    """Return what could not be read, every warning of every row, and why records are left out.

    Args:
        suite: the results to report.
        problems: the stored files that could not be read, as `harness.store.problems` collected them.
        root: the results folder, from which files are named.
    """
    lines = [f"- {escape(short_name(problem.replace(f'{root}/', ''), _MAX_LINE))}" for problem in problems]
    lines += [
        f"- {escape(row['label'])} on {escape(row['dataset'])}: {escape(name)}: {escape(reason)}"
        for _, row in suite.frame.iterrows()
        for name, reason in row["warnings"]
    ]
    lines += [
        f"- {escape(state.trial.trial_id)}: left out of every comparison: {escape(state.problem)}"
        for state in suite.states
        if state.problem is not None
    ]
    lines += [
        f"- {escape(dataset.title)}: the newest race does not count, because it ran in another environment than the "
        f"trials: {escape('; '.join(dataset.speeds.race_elsewhere))}"
        for dataset in suite.datasets
        if dataset.speeds.race_elsewhere
    ]
    lines += [
        f"- {escape(label)} on {escape(dataset.title)}: left the race: {escape(reason)}"
        for dataset in suite.datasets
        if dataset.speeds.race is not None
        for label, reason in dataset.speeds.race.failed.items()
    ]
    return ["## Warnings", "\n".join(dict.fromkeys(lines))] if lines else []
