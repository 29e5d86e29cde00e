"""Read a results folder as it is: the planned trials, those with a record, those that failed and why.

Owns reading alone: nothing in the folder is changed, whatever state a run left it in. Documents of older versions are
migrated in memory. What cannot be read, and what a newer version wrote, is noted (`harness.store.problems`) and done
without; where a run needs the record itself, `read_record` raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter

from harness.errors import UsageError
from harness.store import record
from harness.store.events import event_moment, read_events, worked_s
from harness.store.job import JOB, OUTCOME, PREFLIGHT, Attempt, Job, Outcome, Preflight
from harness.store.migrate import StoredKind
from harness.store.paths import SuiteFolder, TrialFolder, stored
from harness.store.problems import note
from harness.suite.schema import Cost  # noqa: TC001 - pydantic reads the annotations
from harness.suite.search import Search  # noqa: TC001 - pydantic reads the annotations
from harness.suite.trial import Trial  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from harness.store.paths import AttemptFolder
    from harness.store.record import Record

T = TypeVar("T")
SET_ASIDE = "the next attempt sets it aside and measures the trial again"  # what becomes of a record that is damaged
_UNREADABLE = (record.RecordError, record.NewerRecordError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlan:
    """A suite as it was last run: its file as named on the command line, its trials in order, its prices, its search.

    Trials whose values a search has not found yet are stood in for by others, whose ids end in `-awaited`.
    """

    suite_file: str | None
    trials: tuple[Trial, ...]
    cost: Cost | None = None
    search: Search | None = None


_PLAN = StoredKind(name="plan", adapter=TypeAdapter(SuitePlan))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialState:
    """One trial as the folder shows it.

    Attributes:
        record: there only when it succeeded.
        attempts: those that left an outcome, preflights too, in order.
        preflight: the measurements of its last preflight.
        running: the last attempt, where it has no outcome: it runs, or was killed together with its runner.
        log: the last attempt's log.
        problem: why its record cannot be read, or that one was set aside.
        planned: whether the suite, as last run, asks for it.
    """

    trial: Trial
    record: Record | None
    attempts: tuple[Attempt, ...]
    preflight: Preflight | None
    running: AttemptFolder | None
    log: Path | None
    problem: str | None
    planned: bool

    @property
    def last(self) -> Attempt | None:
        """The last attempt that ended; None after a preflight that passed, which makes earlier attempts history."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.outcome != "preflight_passed" else None

    @property
    def failed(self) -> bool:
        """Whether it ended without a record for a reason of its own, and no other attempt has begun since."""
        if self.record is not None or self.running is not None or self.last is None:
            return False
        return self.last.outcome not in {"interrupted", "succeeded"}


def read_results(folder: SuiteFolder) -> tuple[TrialState, ...]:
    """Every trial of the folder: the planned ones in their order, then any others by id."""
    planned = {trial.trial_id: trial for trial in read_plan(folder).trials}.values()
    states = [_state(folder.trial(trial.trial_id), trial, planned=True) for trial in planned]
    planned_ids = {trial.trial_id for trial in planned}
    for trial_folder in folder.trials():
        if trial_folder.path.name not in planned_ids:
            trial = trial_of(trial_folder)
            if trial is not None:
                states.append(_state(trial_folder, trial, planned=False))
    return tuple(states)


def planned_trials(states: tuple[TrialState, ...]) -> tuple[TrialState, ...]:
    """The trials that a comparison covers: those that the suite asks for, or all where there is no plan.

    Trials that the suite no longer asks for would otherwise be averaged with the others.
    """
    return tuple(state for state in states if state.planned) or states


def compared_trials(states: tuple[TrialState, ...]) -> tuple[TrialState, ...]:
    """Of `planned_trials` those that rows are made of: not a search's, which are short and chosen among."""
    return tuple(state for state in planned_trials(states) if state.trial.search is None)


def read_plan(folder: SuiteFolder) -> SuitePlan:
    """The suite as it was last run here; a plan without trials where there is none, or where it cannot be read."""
    nothing = SuitePlan(suite_file=None, trials=())
    if not folder.plan.is_file():
        return nothing
    try:
        return _read(_PLAN, folder.plan)
    except _UNREADABLE as error:
        note(f"{error}; all trials in the folder count")
        return nothing


def encode_plan(asked: SuitePlan) -> bytes:
    """The bytes of a plan file, which `read_plan` reads."""
    return record.encode(_PLAN, asked)


def read_record(folder: TrialFolder) -> record.Record | None:
    """The trial's record; None where it has none.

    Raises:
        RecordError: it is there and cannot be read, or it is another trial's.
        NewerRecordError: a newer version of this program wrote it.
    """
    if not folder.record.is_file():
        return None
    finished = _read(record.RECORD, folder.record)
    if finished.trial.trial_id != folder.path.name:
        raise record.RecordError(f"{folder.record}: cannot be read: it is of the trial {finished.trial.trial_id}")
    return finished


def read_record_of_weights(weights: Path) -> tuple[TrialFolder, record.Record] | None:
    """Return the trial whose fine-tuned weights lie at this path, as its record says; None where there is none.

    Raises:
        RecordError: there is a record beside them that cannot be read.
        NewerRecordError: a newer version of this program wrote it.
    """
    for path in dict.fromkeys((weights.absolute(), weights.resolve())):
        folder = TrialFolder(path.parent.parent)
        found = read_record(folder)
        if found is not None and (folder.path / found.model.checkpoint).resolve() == weights.resolve():
            return folder, found
    return None


def read_preflight(folder: TrialFolder) -> Preflight | None:
    """The measurements of the trial's last preflight; None where there are none, or where they cannot be read."""
    path = stored(folder.preflight)
    if not path.is_file():
        return None
    try:
        return _read(PREFLIGHT, path)
    except _UNREADABLE as error:
        note(f"{error}; the preflight is repeated")
        return None


def history(folder: TrialFolder, *, before: int | None = None) -> tuple[Attempt, ...]:
    """The attempts that ended, in order; with `before`, only those of lower numbers.

    An attempt without an outcome counts as killed together with its runner, so call this where none can be running.
    """
    numbered = [attempt for attempt in folder.attempts() if before is None or attempt.number < before]
    return tuple(_ended(attempt) for attempt in numbered if stored(attempt.job).is_file())


def _ended(attempt: AttemptFolder) -> Attempt:
    reason = "killed together with its runner"
    if attempt.outcome.is_file():
        try:
            outcome = _read(OUTCOME, attempt.outcome)
        except _UNREADABLE as error:
            reason = str(error)
            note(f"{error}; the attempt counts as interrupted")
        else:
            fields = {name: getattr(outcome, name) for name in Outcome.__slots__}
            return Attempt(number=attempt.number, **fields)
    events = read_events(attempt.events)
    began_at = next((moment for event in events if (moment := event_moment(event)) is not None), None)
    return Attempt(
        number=attempt.number,
        outcome="interrupted",
        reason=reason,
        retryable=True,
        started_at=began_at.isoformat(timespec="seconds") if began_at else "",
        wall_s=worked_s(events),
        cause="signal",
    )


def _state(folder: TrialFolder, trial: Trial, *, planned: bool) -> TrialState:
    finished, problem = None, None
    try:
        finished = read_record(folder)
    except record.RecordError as error:
        problem = f"{error}; {SET_ASIDE}"
        note(problem)
    except record.NewerRecordError as error:
        problem = f"{error}; it is not read"
        note(problem)
    aside = folder.set_aside()
    if aside and not finished:
        problem = problem or f"{aside[-1]}: a record that could not be read, set aside"
    folders = folder.attempts()
    running = folders[-1] if folders and not folders[-1].outcome.is_file() and not finished else None
    return TrialState(
        trial=finished.trial if finished else trial,
        record=finished,
        attempts=history(folder, before=running.number if running else None),
        preflight=read_preflight(folder),
        running=running,
        log=next((attempt.log for attempt in reversed(folders) if attempt.log.is_file()), None),
        problem=problem,
        planned=planned,
    )


def last_job(folder: TrialFolder) -> Job | None:
    """What the trial's last attempt was given; None where no attempt left it.

    Raises:
        RecordError: it is there and cannot be read.
        NewerRecordError: a newer version of this program wrote it.
    """
    for attempt in reversed(folder.attempts()):
        path = stored(attempt.job)
        if path.is_file():
            return _read(JOB, path)
    return None


def _read(kind: StoredKind[T], path: Path) -> T:
    """A document from its file.

    Raises:
        RecordError: it cannot be read.
        NewerRecordError: a newer version of this program wrote it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise record.RecordError(f"{path}: cannot be read: {error.strerror}") from None
    return record.decode(kind, data, str(path))


def trial_of(folder: TrialFolder) -> Trial | None:
    """The trial of a folder that no plan names: from its record or its last job; None where neither can be read."""
    for read in (read_record, last_job):
        try:
            document = read(folder)
        except _UNREADABLE as error:
            note(f"{error}; no plan names the trial")
        else:
            if document is not None and document.trial.trial_id == folder.path.name:
                return document.trial
    return None


def suite_folder(path: Path) -> SuiteFolder:
    """The results folder of a suite at `path`.

    Raises:
        UsageError: there are no results; the message names the suites below the folder.
    """
    folder = SuiteFolder(path)
    if not folder.trials() and not folder.plan.is_file():
        inside = sorted(e.name for e in path.iterdir() if (e / "trials").is_dir()) if path.is_dir() else []
        hint = f"; it holds the suites {', '.join(inside)}: give one of them" if inside else ""
        raise UsageError(f"{path}: no results of a suite (no trials/ in it){hint}")
    return folder


def find_trial(trial_id: str, results: Path) -> tuple[SuiteFolder, TrialState]:
    """The one trial whose id begins with `trial_id`, in a suite's folder or in any folder below `results`.

    Raises:
        UsageError: there is no such trial, or more than one.
    """
    if (results / "trials").is_dir():
        folders = [SuiteFolder(results)]
    else:
        folders = [SuiteFolder(path.parent) for path in sorted(results.glob("*/trials"))]
    if not trial_id.strip():
        raise UsageError("the id of a trial is needed, or its start; got an empty text")
    name = Path(trial_id).name  # a path to the trial's folder is as good
    states = [(folder, state) for folder in folders for state in read_results(folder)]
    matches = [(folder, state) for folder, state in states if state.trial.trial_id == name]
    matches = matches or [(folder, state) for folder, state in states if state.trial.trial_id.startswith(name)]
    if len(matches) != 1:
        problem = "several trial ids start with it" if matches else f"no such trial in {results}"
        listed = "\n".join(f"  {state.trial.trial_id}" for _, state in matches or states)
        raise UsageError(f"{trial_id}: {problem}" + (f":\n{listed}" if listed else ""))
    return matches[0]
