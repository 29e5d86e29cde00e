"""The page's first line (how much of the suite is measured) and its section on what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.markup import code, escape, fenced
from harness.store import run_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.store.results import TrialState

_TIME = "%Y-%m-%d %H:%M"


def coverage(states: Sequence[TrialState], others: int, generated: str) -> str:
    measured, failed, left = run_status.counts(states)
    said = [f"{measured} of {len(states)} trials measured"]
    said += [f"**{failed} failed**"] if failed else []
    said += [f"{left} left"] if left else []
    span = run_status.span(states)
    when = f" First started {span[0]:{_TIME}}, last ended {span[1]:{_TIME}} UTC." if span else ""
    beside = f" {others} more lie in trials/, which the suite as last run does not ask for." if others else ""
    return f"{', '.join(said)}.{when} Written {generated}.{beside}"


def failures(states: Sequence[TrialState], root: Path, suite_file: str | None) -> list[str]:
    """What did not succeed, by reason: the last lines of its traceback, and for each trial its log and its command."""
    groups = run_status.failures(states)
    if not groups:
        return []
    parts = ["## What did not succeed"]
    for group in groups:
        count = f"{len(group.states)} trials" if len(group.states) > 1 else "1 trial"
        parts.append(f"**{group.outcome}, {count}:** {escape(group.reason)}")
        parts += [fenced(group.traceback)] if group.traceback else []
        lines = []
        for state in group.states:
            again = run_status.command(state, suite_file=suite_file, results=root.parent)
            log = f", [log](<{state.log.relative_to(root)}>)" if state.log else ""
            lines.append(f"- {escape(state.trial.trial_id)}{log}; again: {code(again)}")
        parts.append("\n".join(lines))
    parts.append(
        "`harness run` with the same suite goes on with what was interrupted and keeps what is measured; what failed "
        "for a reason of its own is tried again only with `--retry-failed`."
    )
    return parts
