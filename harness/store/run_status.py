"""How far a run is: counts and times, and the failures grouped by reason, each with the command that tries it again.

Serves the page and the terminal alike. Owns counting over `TrialState` alone; it reads no file and needs no pandas.
"""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.store.job import Attempt
    from harness.store.results import TrialState

_TRACEBACK_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Trials that did not succeed for one and the same reason; `traceback` holds the first one's last lines."""

    outcome: str
    reason: str
    states: tuple[TrialState, ...]
    traceback: str | None


def counts(states: Sequence[TrialState]) -> tuple[int, int, int]:
    """How many trials are measured, how many failed, and how many are left."""
    measured = sum(state.record is not None for state in states)
    failed = sum(state.failed for state in states)
    return measured, failed, len(states) - measured - failed


def span(states: Sequence[TrialState]) -> tuple[datetime, datetime] | None:
    """When the first attempt started and the last one ended, UTC; None where there was none."""
    times = []
    for state in states:
        for attempt in all_attempts(state):
            with contextlib.suppress(ValueError):  # an attempt that left no trace of when
                start = datetime.fromisoformat(attempt.started_at).astimezone(UTC)
                times.append((start, start + timedelta(seconds=attempt.wall_s)))
    return (min(start for start, _ in times), max(end for _, end in times)) if times else None


def all_attempts(state: TrialState) -> tuple[Attempt, ...]:
    """The attempts in the folder; where it holds only a record, as a committed example does, those of the record."""
    return state.attempts or (state.record.attempts if state.record else ())


def failures(states: Sequence[TrialState]) -> tuple[Failed, ...]:
    """The trials that did not succeed, interrupted ones too, grouped by reason, in the order of the trials."""
    groups: dict[tuple[str, str], list[TrialState]] = {}
    for state in states:
        if state.problem:
            groups.setdefault(("unreadable", state.problem), []).append(state)
        elif state.record is None and state.last is not None and state.running is None:
            groups.setdefault((state.last.outcome, state.last.reason or ""), []).append(state)
    return tuple(
        Failed(outcome=outcome.replace("_", " "), reason=reason, states=tuple(alike), traceback=_last_lines(alike[0]))
        for (outcome, reason), alike in groups.items()
    )


def command(state: TrialState, *, suite_file: str | None, results: Path) -> str:
    """The command line that runs this trial again."""
    words = ["harness", "run", suite_file or "SUITE", "--results", str(results), "--select", state.trial.trial_id]
    words += ["--max-images", str(state.trial.max_images)] if state.trial.max_images else []
    return shlex.join([*words, "--retry-failed"] if state.failed else words)


def _last_lines(state: TrialState) -> str | None:
    text = state.last.traceback if state.last and not state.problem else None
    return "\n".join(text.splitlines()[-_TRACEBACK_LINES:]) if text else None
