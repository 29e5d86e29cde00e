"""Read a results folder as it is: what was asked, what has a record, what failed and how.

Owns reading alone; whatever state a night left, this tells it without changing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from harness.store import record
from harness.suite.spec import Trial

if TYPE_CHECKING:
    from pathlib import Path

    from harness.store.files import SuiteFolder, TrialFolder
    from harness.store.record import Outcome, Record

_PLAN: TypeAdapter[tuple[Trial, ...]] = TypeAdapter(tuple[Trial, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One trial as the folder shows it.

    Attributes:
        record: there only when it succeeded.
        last: the outcome of its last attempt that left one.
        log: the last attempt's log.
        problem: why its record cannot be read.
        planned: whether the suite, as last run, asks for it.
    """

    trial: Trial
    record: Record | None
    last: Outcome | None
    log: Path | None
    problem: str | None
    planned: bool


def read_results(folder: SuiteFolder) -> tuple[State, ...]:
    """Every trial that the folder knows of: the planned ones in their order, then any others by id.

    Raises:
        RecordError: the plan cannot be read.
    """
    planned = read_plan(folder)
    states = [_state(folder.trial(trial.trial_id), trial, planned=True) for trial in planned]
    known = {trial.trial_id for trial in planned}
    for trial_folder in folder.trials():
        if trial_folder.path.name not in known:
            trial = _asked(trial_folder)
            if trial is not None:
                states.append(_state(trial_folder, trial, planned=False))
    return tuple(states)


def read_plan(folder: SuiteFolder) -> tuple[Trial, ...]:
    """The trials of the suite as it was last run here; none where it never was."""
    if not folder.plan.is_file():
        return ()
    return record.decode(_PLAN, folder.plan.read_bytes(), str(folder.plan))


def encode_plan(trials: tuple[Trial, ...]) -> bytes:
    """What `read_plan` reads."""
    return record.encode(_PLAN, trials)


def read_record(folder: TrialFolder) -> record.Record | None:
    """The trial's record; None where it has none.

    Raises:
        RecordError: it is there and cannot be read.
    """
    if not folder.record.is_file():
        return None
    return record.decode(record.RECORD, folder.record.read_bytes(), str(folder.record))


def _state(folder: TrialFolder, trial: Trial, *, planned: bool) -> State:
    found, problem = None, None
    try:
        found = read_record(folder)
    except record.RecordError as error:
        problem = str(error)
    last, log = None, None
    for attempt in reversed(folder.attempts()):
        log = log or (attempt.log if attempt.log.is_file() else None)
        if attempt.outcome.is_file():
            try:
                last = record.decode(record.OUTCOME, attempt.outcome.read_bytes(), str(attempt.outcome))
            except record.RecordError as error:
                problem = problem or str(error)
            break
    return State(
        trial=found.trial if found else trial, record=found, last=last, log=log, problem=problem, planned=planned
    )


def _asked(folder: TrialFolder) -> Trial | None:
    """The trial of a folder that no plan names: from its record or its last assignment, if either can be read."""
    try:
        found = read_record(folder)
        if found is not None:
            return found.trial
        for attempt in reversed(folder.attempts()):
            if attempt.assignment.is_file():
                text = attempt.assignment.read_bytes()
                return record.decode(record.ASSIGNMENT, text, str(attempt.assignment)).trial
    except record.RecordError:
        return None
    return None
