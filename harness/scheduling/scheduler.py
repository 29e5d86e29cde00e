"""A night: the trials that are left, rehearsed and then executed, one after the other.

Owns what is decided between two attempts: which comes next, whether another follows, when to stop. What happened lies
in files; nothing here remembers it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.errors import RepeatedError, UsageError
from harness.executors import base, local
from harness.scheduling import estimate, retry
from harness.store import files, record, results
from harness.store.job import JOB, OUTCOME, Job, Outcome
from harness.suite.expand import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.executors.base import AttemptResult
    from harness.scheduling.observer import RunObserver
    from harness.store.job import Attempt
    from harness.suite.trial import Trial
from harness.scheduling.plan import Plan, refresh

log = logging.getLogger(__name__)

_ALIKE = 3  # trials in a row that fail in the same way are enough
_SOON_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """One run from its first rehearsal to its last trial; `report` writes the page, after each."""

    plan: Plan
    device: str
    threads: int
    watcher: RunObserver
    fail_fast: bool
    report: Callable[[], object]

    def rehearse(self) -> tuple[Plan, bool]:
        """One step of each configuration that is left; what cannot work is recorded as failed, for all its seeds.

        Returns:
            The plan as it is then, and whether anything failed.
        """
        left = [trial for trial in self.plan.pending if configuration(trial) not in self.plan.rehearsals]
        seeds: dict[str, list[Trial]] = {}
        for trial in left:
            seeds.setdefault(configuration(trial), []).append(trial)
        failed: dict[str, Attempt] = {}
        for number, alike in enumerate(seeds.values(), start=1):
            self.watcher.rehearse(alike, number, len(seeds))
            ending = self._to_its_end(alike[0], rehearsal=self.plan.where)
            if ending.attempt.outcome != "preflight_passed":
                failed.update((trial.trial_id, ending.attempt) for trial in alike)
                for other in alike[1:]:
                    self._record_alike(other, ending.attempt)
                self.report()
                if self.fail_fast:
                    break
        return replace(refresh(self.plan), failed={**self.plan.failed, **failed}), bool(failed)

    def execute(self, until: datetime | None) -> tuple[tuple[str, ...], tuple[Trial, ...]]:
        """Every trial that is left; returns (ids of those too long for `until`, those that were not come to).

        Raises:
            RepeatedError: trial after trial failed in the same way.
        """
        plan = self.plan
        queue, expected = plan.pending, plan.expected()
        if not queue:
            return (), ()
        files.ensure_space(
            plan.folder.path, estimate.needed_bytes(queue, plan.rehearsals), f"{len(queue)} trials will write up to"
        )
        self.watcher.expect(queue, expected)
        late: list[str] = []
        failures: list[Attempt] = []  # in a row
        for index, trial in enumerate(queue):
            if until is not None:
                expected = refresh(plan).expected()  # what ran meanwhile tells more than a rehearsal
                if _ends(trial, expected) > until:
                    late.append(trial.trial_id)
                    continue
            ending = self._to_its_end(trial, rehearsal=None)
            self.report()
            failures = [] if ending.recorded else [*failures, ending.attempt]
            if failures and self.fail_fast:
                return tuple(late), queue[index + 1 :]
            _check_alike(failures, left=len(queue) - index - 1)
        return tuple(late), ()

    def _to_its_end(self, trial: Trial, *, rehearsal: str | None) -> AttemptResult:
        """Attempt after attempt until there is a record, a rehearsal, or a failure that another attempt cannot mend."""
        while True:
            ending = self._attempt(trial, rehearsal)
            history = results.history(self.plan.folder.trial(trial.trial_id))
            good = ending.recorded or ending.attempt.outcome == "preflight_passed"
            if good or retry.is_over(history, trial, self.plan.suite.on_oom):
                self.watcher.end(trial, ending)
                return ending
            self.watcher.again(trial, ending.attempt)

    def _attempt(self, trial: Trial, rehearsal: str | None) -> AttemptResult:
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
        return local.run_attempt(
            self._job(trial, attempt.number, history, rehearsal),
            attempt,
            base.Timeouts(hang_s=limits.hang_minutes * 60, total_s=total_s),
            on_event=self.watcher.event,
        )

    def _job(self, trial: Trial, number: int, history: Sequence[Attempt], rehearsal: str | None) -> Job:
        suite = self.plan.suite
        return Job(
            trial=trial,
            number=number,
            device=self.device,
            threads=self.threads,
            import_folder=str(suite.path.resolve().parent),
            preflight=rehearsal,
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
        job = self._job(trial, folder.number, (), self.plan.where)
        files.commit(folder.job, record.encode(JOB, job))
        outcome = Outcome(
            outcome=failed.outcome,
            reason=failed.reason,
            retryable=False,
            started_at=failed.started_at,
            wall_s=0.0,
            cause=failed.cause,
            traceback=failed.traceback,
        )
        files.commit(folder.outcome, record.encode(OUTCOME, outcome))


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
