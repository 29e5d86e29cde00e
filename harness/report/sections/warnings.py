"""The page's section on warnings: those of each row with their reasons, and records that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.markup import escape

if TYPE_CHECKING:
    from harness.analysis.suite import SuiteAnalysis


def section(suite: SuiteAnalysis) -> list[str]:
    """Return every warning of every row, and why records are left out."""
    lines = [
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
    return ["## Warnings", "\n".join(dict.fromkeys(lines))] if lines else []
