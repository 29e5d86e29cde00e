"""The page's first line (how much of the suite is measured) and its section on what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import counted
from harness.report.markup import code, escape, fenced
from harness.store import run_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.store.results import TrialState

_TIME = "%Y-%m-%d %H:%M"


def coverage(states: Sequence[TrialState], n_other_trials: int, generated: str) -> str:
    """Return the page's first line: how many trials are measured, failed and pending, and when they ran."""
    measured, failed, pending = run_status.counts(states)
    counts = [f"{measured} of {len(states)} trials measured"]
    counts += [f"**{failed} failed**"] if failed else []
    counts += [f"{pending} left"] if pending else []
    span = run_status.span(states)
    when = f" First started {span[0]:{_TIME}}, last ended {span[1]:{_TIME}} UTC." if span else ""
    lie = "lies" if n_other_trials == 1 else "lie"
    others = f" {n_other_trials} more {lie} in trials/ but not in the suite as last run." if n_other_trials else ""
    return f"{', '.join(counts)}.{when} Written {generated}.{others}"


def failures(states: Sequence[TrialState], root: Path, suite_file: str | None) -> list[str]:
    """Return what did not succeed, by reason: the end of the traceback, and each trial's log and command."""
    groups = run_status.failures(states)
    if not groups:
        return []
    parts = ["## What did not succeed"]
    for group in groups:
        parts.append(f"**{group.outcome}, {counted(len(group.states), 'trial')}:** {escape(group.reason)}")
        parts += [fenced(group.traceback)] if group.traceback else []
        lines = []
        for state in group.states:
            command = run_status.command(state, suite_file=suite_file, results=root.parent)
            log = f", [log](<{state.log.relative_to(root)}>)" if state.log else ""
            lines.append(f"- {escape(state.trial.trial_id)}{log}; again: {code(command)}")
        parts.append("\n".join(lines))
    parts.append(
        "`harness run` with the same suite continues interrupted trials and keeps measured ones; trials that failed "
        "are tried again only with `--retry-failed`."
    )
    return parts
