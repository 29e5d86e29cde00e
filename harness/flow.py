"""The whole program as a story: load the suite, plan its trials, skip what is recorded, rehearse, execute, report.

Owns the order of things. Every stage is a function of another room that a test can call alone.
"""

from __future__ import annotations

import fnmatch
import logging
import socket
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from harness import __version__
from harness.data.admit import admit
from harness.errors import Interrupted, RepeatedError, UsageError
from harness.execute import estimate, retry, supervise
from harness.execute.supervise import available_cores
from harness.store import files, lock, record, results
from harness.store.files import SuiteFolder
from harness.suite.catalog import BY_NAME
from harness.suite.load import Suite, load_suite
from harness.suite.plan import configuration, plan_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.execute.supervise import Ending, Event
    from harness.store.record import Attempt, Record, Rehearsal
    from harness.suite.spec import Trial

log = logging.getLogger(__name__)

_ALIKE = 3  # trials in a row that fail in the same way are enough
_SOON_S = 60.0


class Watcher(Protocol):
    """Whoever shows a run to a person."""

    def begin(self, plan: Plan) -> None:
        """The run starts."""

    def rehearse(self, alike: Sequence[Trial], number: int, count: int) -> None:
        """The `number`-th of `count` configurations is rehearsed, for all of its seeds that are left."""

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """These trials come, in this order; `expected` seconds each, by id, as far as that is known."""

    def start(self, trial: Trial, log_path: Path) -> None:
        """A trial starts."""

    def event(self, event: Event | None) -> None:
        """The child said something, or nothing yet."""

    def again(self, trial: Trial, attempt: Attempt) -> None:
        """An attempt failed in a way that another one follows."""

    def end(self, trial: Trial, ending: Ending) -> None:
        """A trial, or its rehearsal, ended."""

    def close(self) -> None:
        """The run is over, however it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a suite asks for and what of it is done.

    Attributes:
        trials: all of the suite, seed by seed.
        selected: those that `--select` leaves.
        records: of those that are done, by id.
        over: how those without a record ended that failed for a reason of their own, by id.
        rehearsals: made in this environment, by configuration.
        remarks: what a person should know of the data: warnings, and what is skipped.
    """

    suite: Suite
    folder: SuiteFolder
    trials: tuple[Trial, ...]
    selected: tuple[Trial, ...]
    where: str
    records: Mapping[str, Record] = field(default_factory=dict)
    over: Mapping[str, Attempt] = field(default_factory=dict)
    rehearsals: Mapping[str, Rehearsal] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[Trial, ...]:
        """The selected trials that are neither done nor over, in the order they are to run."""
        open_ = [t for t in self.selected if t.trial_id not in self.records and t.trial_id not in self.over]
        return estimate.in_order(open_, self.expected())

    @property
    def given_up(self) -> tuple[Trial, ...]:
        """The selected trials that only `--retry-failed` tries again."""
        return tuple(trial for trial in self.selected if trial.trial_id in self.over)

    def expected(self) -> dict[str, float]:
        """Seconds that each selected trial takes, by id, as far as that is known."""
        return estimate.expected_s(self.selected, self.rehearsals, tuple(self.records.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run ended.

    Attributes:
        succeeded: selected trials that have a record now.
        failed: those that have none; `given_up` of them failed before and were not repeated.
        late: ids of those not started because they would not have been done in time.
        left: how many the run did not come to.
    """

    report: Path
    succeeded: int
    failed: int
    given_up: int
    late: tuple[str, ...]
    left: int


def make_plan(
    suite_path: Path,
    *,
    results_folder: Path,
    select: str | None,
    limit: int | None,
    device: str,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Plan:
    """Load a suite, look at its data, and see what of its trials is done.

    Args:
        device: where trials are to run; a rehearsal elsewhere says nothing.
        progress: told how many images were looked at, of how many.

    Raises:
        SuiteError: the file or the data it names is wrong: every problem.
        UsageError: `select` matches no trial.
    """
    suite = load_suite(suite_path)
    fingerprints, remarks = admit(suite, workers=available_cores(), progress=progress)
    trials = plan_trials(suite, fingerprints, limit=limit)
    selected = tuple(trial for trial in trials if select is None or fnmatch.fnmatchcase(trial.trial_id, select))
    if not selected:
        known = "\n".join(f"  {trial.trial_id}" for trial in trials)
        raise UsageError(f"--select {select}: matches none of the suite's trials:\n{known}")
    folder = SuiteFolder(results_folder / suite.name)
    where = (
        f"{socket.gethostname()}, {device}, {available_cores()} threads, torch {version('torch')}, "
        f"torchvision {version('torchvision')}, harness {__version__}"
    )
    return _as_found(Plan(suite=suite, folder=folder, trials=trials, selected=selected, where=where, remarks=remarks))


def run(
    plan: Plan,
    *,
    device: str,
    watcher: Watcher,
    rehearse: bool = True,
    retry_failed: bool = False,
    fail_fast: bool = False,
    until: datetime | None = None,
) -> Summary:
    """Rehearse and execute every selected trial that is left; the report is rewritten after each.

    Args:
        rehearse: whether a step of each configuration is tried before the first trial.
        retry_failed: also those that failed for a reason of their own.
        fail_fast: stop at the first failure.
        until: start no trial that would not be done by then.

    Raises:
        LockedError: another run writes here.
        MachineError: the disk or the device stopped the run; finished trials keep their records.
        RepeatedError: trial after trial failed in the same way.
        Interrupted: a signal came: the running child has left a checkpoint, and the report is written.
    """
    files.make_folder(plan.folder.path)
    with lock.locked(plan.folder.lock):
        files.sweep(plan.folder.path)
        plan = _as_found(plan)  # another run may just have ended
        given_up = () if retry_failed else plan.given_up
        plan = replace(plan, over={}) if retry_failed else plan
        files.replace(plan.folder.plan, results.encode_plan(_asked_for(plan)))
        report = write_report(plan.folder)
        watcher.begin(plan)
        night = _Night(plan=plan, device=device, threads=available_cores(), watcher=watcher, fail_fast=fail_fast)
        try:
            stop = False
            if rehearse and (plan.trials[0].limit is None or until is not None):
                plan, broken = night.rehearse()
                stop = broken and fail_fast
            late, left = ((), plan.left) if stop else replace(night, plan=plan).execute(until)
        except Interrupted as asked:
            if not asked.again:
                _write_last_report(plan.folder)
            raise
        except BaseException:
            _write_last_report(plan.folder)
            raise
        finally:
            watcher.close()
    succeeded = sum(trial.trial_id in _as_found(plan).records for trial in plan.selected)
    failed = len(plan.selected) - succeeded - len(late) - len(left)
    return Summary(report=report, succeeded=succeeded, failed=failed, given_up=len(given_up), late=late, left=len(left))


def write_report(folder: SuiteFolder) -> Path:
    """Render the page of a results folder.

    Raises:
        MachineError: it cannot be written.
    """
    from harness.report import page  # pandas and matplotlib take a second, which plan and validate need not wait for

    return page.write(folder)


def fetch(suite: Suite) -> int:
    """Download every pretrained file that the suite needs, in a process of its own; 0 if all are there now."""
    wanted = wanted_weights(suite)
    arguments = [f"{name}={word}" for name, word, _ in wanted]
    if not arguments:
        return 0
    done = subprocess.run((sys.executable, "-m", "harness.trial.models.weights", *arguments), check=False)
    return done.returncode


def wanted_weights(suite: Suite) -> tuple[tuple[str, str, str], ...]:
    """(architecture, default or backbone, file name) of each published file that the suite starts from."""
    wanted = {}
    for setting in suite.settings:
        row, word = BY_NAME[setting.architecture.name], setting.architecture.weights
        if word in {"default", "backbone"}:
            wanted[row.name, word] = row.weights_file if word == "default" else row.backbone_file
    return tuple((name, word, file) for (name, word), file in wanted.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Night:
    """One run from its first rehearsal to its last trial; what it knows never changes, what happens is in files."""

    plan: Plan
    device: str
    threads: int
    watcher: Watcher
    fail_fast: bool

    def rehearse(self) -> tuple[Plan, bool]:
        """One step of each configuration that is left; what cannot work is recorded as failed, for all its seeds.

        Returns:
            The plan as it is then, and whether anything failed.
        """
        left = [trial for trial in self.plan.left if configuration(trial) not in self.plan.rehearsals]
        seeds: dict[str, list[Trial]] = {}
        for trial in left:
            seeds.setdefault(configuration(trial), []).append(trial)
        failed: dict[str, Attempt] = {}
        for number, alike in enumerate(seeds.values(), start=1):
            self.watcher.rehearse(alike, number, len(seeds))
            ending = self._to_its_end(alike[0], rehearsal=self.plan.where)
            if ending.attempt.outcome != "rehearsed":
                failed.update((trial.trial_id, ending.attempt) for trial in alike)
                for other in alike[1:]:
                    self._record_alike(other, ending.attempt)
                write_report(self.plan.folder)
                if self.fail_fast:
                    break
        return replace(_as_found(self.plan), over={**self.plan.over, **failed}), bool(failed)

    def execute(self, until: datetime | None) -> tuple[tuple[str, ...], tuple[Trial, ...]]:
        """Every trial that is left; returns (ids of those too long for `until`, those that were not come to).

        Raises:
            RepeatedError: trial after trial failed in the same way.
        """
        plan = self.plan
        queue, expected = plan.left, plan.expected()
        files.ensure_space(
            plan.folder.path, estimate.needed_bytes(queue, plan.rehearsals), f"{len(queue)} trials will write up to"
        )
        self.watcher.expect(queue, expected)
        late: list[str] = []
        failures: list[Attempt] = []  # in a row
        for index, trial in enumerate(queue):
            if until is not None:
                expected = _as_found(plan).expected()  # what ran meanwhile tells more than a rehearsal
                if _ends(trial, expected) > until:
                    late.append(trial.trial_id)
                    continue
            ending = self._to_its_end(trial, rehearsal=None)
            write_report(plan.folder)
            failures = [] if ending.recorded else [*failures, ending.attempt]
            if failures and self.fail_fast:
                return tuple(late), queue[index + 1 :]
            _check_alike(failures, left=len(queue) - index - 1)
        return tuple(late), ()

    def _to_its_end(self, trial: Trial, *, rehearsal: str | None) -> Ending:
        """Attempt after attempt until there is a record, a rehearsal, or a failure that another attempt cannot mend."""
        while True:
            ending = self._attempt(trial, rehearsal)
            history = results.history(self.plan.folder.trial(trial.trial_id))
            good = ending.recorded or ending.attempt.outcome == "rehearsed"
            if good or retry.is_over(history, trial, self.plan.suite.on_oom):
                self.watcher.end(trial, ending)
                return ending
            self.watcher.again(trial, ending.attempt)

    def _attempt(self, trial: Trial, rehearsal: str | None) -> Ending:
        folder, limits = self.plan.folder.trial(trial.trial_id), self.plan.suite.limits
        if folder.record.exists():  # there, but unreadable: kept aside for a person to look at
            folder.record.rename(folder.record.with_suffix(f".unreadable-{len(folder.attempts())}.json"))
        history = results.history(folder)
        attempt = folder.next_attempt()
        total_s = None
        if limits.trial_hours is not None and rehearsal is None:
            total_s = limits.trial_hours * 3600 - retry.spent_s(history)
        if rehearsal is None:
            self.watcher.start(trial, attempt.log)
        return supervise.run_attempt(
            self._assignment(trial, attempt.number, history, rehearsal),
            attempt,
            supervise.Patience(hang_s=limits.hang_minutes * 60, total_s=total_s),
            on_event=self.watcher.event,
        )

    def _assignment(
        self, trial: Trial, number: int, history: Sequence[Attempt], rehearsal: str | None
    ) -> record.Assignment:
        suite = self.plan.suite
        return record.Assignment(
            trial=trial,
            number=number,
            device=self.device,
            threads=self.threads,
            import_folder=str(suite.path.resolve().parent),
            rehearsal=rehearsal,
            accumulate=max(retry.parts(history, trial, suite.on_oom), self._rehearsed_parts(trial)),
            checkpoint_s=suite.limits.checkpoint_minutes * 60,
        )

    def _rehearsed_parts(self, trial: Trial) -> int:
        """In how many parts the rehearsal of its configuration passed a batch: its other seeds do likewise."""
        rehearsal = self.plan.rehearsals.get(configuration(trial))
        return rehearsal.accumulate if rehearsal and self.plan.suite.on_oom == "accumulate" else 1

    def _record_alike(self, trial: Trial, failed: Attempt) -> None:
        """Let a trial end as another seed of it did in its rehearsal."""
        folder = self.plan.folder.trial(trial.trial_id).next_attempt()
        assignment = self._assignment(trial, folder.number, (), self.plan.where)
        files.commit(folder.assignment, record.encode(record.ASSIGNMENT, assignment))
        outcome = record.Outcome(
            outcome=failed.outcome,
            reason=failed.reason,
            retryable=False,
            started_at=failed.started_at,
            wall_s=0.0,
            cause=failed.cause,
            traceback=failed.traceback,
        )
        files.commit(folder.outcome, record.encode(record.OUTCOME, outcome))


def _as_found(plan: Plan) -> Plan:
    """The plan, with what its folder holds now."""
    records: dict[str, Record] = {}
    over: dict[str, Attempt] = {}
    rehearsals: dict[str, Rehearsal] = {}
    for trial in plan.trials:
        folder = plan.folder.trial(trial.trial_id)
        rehearsal = results.read_rehearsal(folder)
        if rehearsal is not None and rehearsal.where == plan.where:
            rehearsals[configuration(trial)] = rehearsal
        try:
            found = results.read_record(folder)
        except record.RecordError as error:
            log.warning("%s; the trial counts as not done", error)
            continue
        history = results.history(folder)
        if found is not None:
            records[trial.trial_id] = found
        elif retry.is_over(history, trial, plan.suite.on_oom):
            over[trial.trial_id] = history[-1]
    return replace(plan, records=records, over=over, rehearsals=rehearsals)


def _asked_for(plan: Plan) -> results.Asked:
    """What the report is to cover: the suite's trials; a rehearsal comes beside the full ones, not in their place."""
    full: tuple[Trial, ...] = ()
    if plan.trials[0].limit is not None:
        full = tuple(trial for trial in results.read_plan(plan.folder).trials if trial.limit is None)
    return results.Asked(suite_file=str(plan.suite.path), trials=(*full, *plan.trials))


def _check_alike(failures: Sequence[Attempt], *, left: int) -> None:
    """Stop where the last trials all failed at once and alike, and others are left that would too."""
    last = failures[-_ALIKE:]
    alike = all(failure.wall_s < _SOON_S and retry.same_failure(last[0], failure) for failure in last)
    if len(last) == _ALIKE and alike and left:
        raise RepeatedError(
            f"{_ALIKE} trials in a row failed within their first minute with the same traceback, so the other {left} "
            f"were not tried: {last[0].reason}; mend it, then run the same command with --retry-failed"
        )


def _ends(trial: Trial, expected: Mapping[str, float]) -> datetime:
    """When the trial is done if it starts now.

    Raises:
        UsageError: nothing tells.
    """
    if trial.trial_id not in expected:
        raise UsageError(
            f"how long {trial.trial_id} takes is not known, so --until and --budget cannot be kept; leave "
            "--no-rehearsal out"
        )
    return datetime.now(UTC) + timedelta(seconds=expected[trial.trial_id])


def _write_last_report(folder: SuiteFolder) -> None:
    """The report as the run leaves it, if that is still possible: the error that ended the run matters more."""
    try:
        write_report(folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stand in the place of what ended the run
        log.warning("the report could not be written: %s", error)
