"""Run the pending trials of a plan, as many at once as it has slots: first a preflight of each configuration.

A search's trials become known one after the other, so the plan is read again after each trial. Owns what is decided
between two attempts: which comes next, whether another one follows, when to stop. What happened
lies in files; nothing here remembers it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import RepeatedError, UsageError
from harness.formatting import counted
from harness.processes.watch import Timeouts
from harness.scheduling import estimate, retry
from harness.scheduling.in_flight import InFlight
from harness.scheduling.plan import Plan, refresh
from harness.store import files, record, results
from harness.store.job import JOB, OUTCOME, Job, Outcome
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.executors.base import AttemptResult
    from harness.executors.slots import Slot
    from harness.executors.supervise import RunningAttempt, Supervisor
    from harness.scheduling.observer import Observers
    from harness.store.job import Attempt, ItemsRead
    from harness.suite.schema import ImageSize
    from harness.suite.trial import Trial

log = logging.getLogger(__name__)

_SAME_FAILURES = 3  # trials in a row that fail in the same way are enough
_SOON_S = 60.0
_FAIL_FAST = "another trial failed, and --fail-fast stops the run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What became of the trials that were to run, beside those that ran.

    Attributes:
        skipped_for_time: ids of those that would not have ended in time.
        not_tried: those that were still to come when a failure stopped the run.
    """

    skipped_for_time: tuple[str, ...] = ()
    not_tried: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Runs a plan from its first preflight to its last trial.

    Attributes:
        supervisor: runs the attempts.
        observer: follows the run.
        fail_fast: whether the first failure stops the run.
        report: writes the page; called after each trial with the plan as it is then.
        reserved_bytes: of the disk, for what the trials will write.
    """

    plan: Plan
    supervisor: Supervisor
    observer: Observers
    fail_fast: bool
    report: Callable[[Plan], object]
    reserved_bytes: int = 0

    def preflight(self) -> tuple[Plan, bool]:
        """Try one step of each pending configuration; one that cannot work is recorded as failed, for all its seeds.

        Returns:
            The plan as it is then, and whether anything failed.
        """
        seeds: dict[str, list[Trial]] = {}
        searched = {trial.search.chain for trial in self.plan.pending if trial.search is not None}
        later = {trial.trial_id for chain in self.plan.chains if chain.digest in searched for trial in chain.untuned}
        for trial in self.plan.pending:
            known = configuration_key(trial) in self.plan.preflights or trial.trial_id in later
            if not known and not self._runs(trial):
                seeds.setdefault(configuration_key(trial), []).append(trial)
        failed: dict[str, Attempt] = {}
        read: dict[tuple[str, ImageSize], ItemsRead] = {}
        queue = list(enumerate(seeds.values(), start=1))
        with self._in_flight() as running:
            while queue or running.trials:
                while queue and running.has_room:
                    number, trials = queue.pop(0)
                    self.observer.preflight(trials, number, len(seeds))
                    items = read.get(_read_alike(trials[0]))
                    running.add(trials[0], partial(self._start, trials[0], preflight=True, items=items))
                trial, result = running.next_ended()
                measured = results.read_preflight(self.plan.folder.trial(trial.trial_id))
                if measured is not None and measured.items is not None:
                    read[_read_alike(trial)] = measured.items
                if result.attempt.outcome != "preflight_passed":
                    others = (*seeds[configuration_key(trial)][1:], *self._seeds_of(trial))
                    failed.update((one.trial_id, result.attempt) for one in (trial, *others))
                    for other in others:
                        self._record_same_failure(other, result.attempt)
                    self.report(refresh(self.plan))
                    if self.fail_fast:
                        running.stop(_FAIL_FAST)
                        break
        return replace(refresh(self.plan), failed={**self.plan.failed, **failed}), bool(failed)

    def execute(self, until: datetime | None) -> Executed:
        """Run every pending trial.

        Args:
            until: start no trial that would not have ended by then.

        Raises:
            RepeatedError: trial after trial failed in the same way.
            UsageError: with `until`, how long a trial takes is not known.
        """
        plan, queue = self.plan, self.plan.pending
        if not queue:
            return Executed(skipped_for_time=_ids(plan.awaiting))
        left, expected = (*queue, *plan.awaiting), plan.expected()
        needed, trials = estimate.needed_bytes(left, plan.preflights, len(plan.slots)), counted(len(left), "trial")
        files.ensure_space(plan.folder.path, needed, f"{trials} will write up to")
        self.observer.expect(left, expected)
        to_try = set(_ids(queue))
        skipped: list[str] = []
        failures: list[Attempt] = []  # in a row
        with self._in_flight() as running:
            for trial in queue:
                self._find(trial, running)
            # What an earlier run had left running may have ended since the plan was made.
            queue = tuple(trial for trial in queue if trial not in running.trials and not self._is_recorded(trial))
            to_try -= set(_ids(running.trials))
            while queue or running.trials:
                while queue and running.has_room:
                    trial, queue = queue[0], queue[1:]
                    to_try.discard(trial.trial_id)
                    if until is not None and _ends_late(plan, trial, until):
                        skipped.append(trial.trial_id)
                        continue
                    now = replace(self, plan=plan, reserved_bytes=needed)
                    running.add(trial, partial(now._start, trial, preflight=False))  # noqa: SLF001 - its own class
                if not running.trials:
                    break
                trial, result = running.next_ended()
                if plan.chains:
                    plan, queue = self._grown(plan, to_try, running.trials)
                self.report(plan)
                if self.fail_fast and not result.recorded:
                    stopped = running.trials
                    running.stop(_FAIL_FAST)
                    return Executed(skipped_for_time=tuple(skipped), not_tried=(*stopped, *queue, *plan.awaiting))
                if trial.search is None:  # values of a search may fail alike; the search goes on
                    failures = [] if result.recorded else [*failures, result.attempt]
                    _check_same_failures(failures, n_pending=len(queue))
        return Executed(skipped_for_time=(*skipped, *_ids(plan.awaiting)))

    def _in_flight(self) -> InFlight:
        return InFlight(self.plan.slots, self.supervisor, self.observer, is_over=self._is_over)

    def _grown(self, plan: Plan, to_try: set[str], running: Sequence[Trial]) -> tuple[Plan, tuple[Trial, ...]]:
        """Return the plan as it is now, and what is to run next, with what a search has found since.

        Args:
            plan: as it was.
            to_try: ids of the trials that this run has still to try, of failed ones too; new ones are added.
            running: those that run.
        """
        known = {trial.trial_id for trial in plan.trials}
        now = refresh(plan)
        now = replace(now, failed={name: one for name, one in now.failed.items() if name not in to_try})
        to_try |= {trial.trial_id for trial in now.pending if trial.trial_id not in known}
        queue = tuple(trial for trial in now.pending if trial.trial_id in to_try)
        self.observer.replan((*running, *queue, *now.awaiting), now.expected())
        return now, queue

    def _seeds_of(self, step: Trial) -> tuple[Trial, ...]:
        """Return the seeds' trials of a search whose preflight failed; nothing for any other trial."""
        if step.search is None:
            return ()
        digest = step.search.chain
        ids = {trial.trial_id for chain in self.plan.chains if chain.digest == digest for trial in chain.untuned}
        return tuple(trial for trial in refresh(self.plan).pending if trial.trial_id in ids)

    def _is_over(self, trial: Trial, result: AttemptResult) -> bool:
        """Return whether an attempt succeeded, or another one cannot mend what failed."""
        if result.recorded or result.attempt.outcome == "preflight_passed":
            return True
        return retry.is_over(results.history(self.plan.folder.trial(trial.trial_id)), trial, self.plan.suite.on_oom)

    def _start(self, trial: Trial, slot: Slot, *, preflight: bool, items: ItemsRead | None = None) -> RunningAttempt:
        """Start the next attempt of a trial in a slot."""
        folder, limits = self.plan.folder.trial(trial.trial_id), self.plan.suite.limits
        if folder.record.exists():  # there, but unreadable: kept aside for a person to look at
            folder.record.rename(folder.record.with_suffix(f".unreadable-{len(folder.attempts())}.json"))
        history = results.history(folder)
        attempt = folder.next_attempt()
        total_s = None
        if limits.trial_hours is not None and not preflight:
            total_s = retry.left_s(history, limits.trial_hours * 3600)
        if not preflight:
            self.observer.start(trial, attempt.log)
        job = self._job(trial, attempt.number, history, slot, preflight=preflight)
        return self.supervisor.start(
            replace(job, items=items),
            attempt,
            Timeouts(hang_s=limits.hang_minutes * 60, total_s=total_s),
            on_event=partial(self.observer.event, trial),
        )

    def _is_recorded(self, trial: Trial) -> bool:
        """Return whether the trial has a record by now that can be read."""
        try:
            return results.read_record(self.plan.folder.trial(trial.trial_id)) is not None
        except record.RecordError:
            return False

    def _runs(self, trial: Trial) -> bool:
        """Return whether an earlier run has left the trial running, which then needs no preflight."""
        attempts = self.plan.folder.trial(trial.trial_id).attempts()
        return bool(attempts) and self.supervisor.runs(attempts[-1])

    def _find(self, trial: Trial, running: InFlight) -> None:
        """Follow the attempt of a trial that an earlier run has left running, where the executor has such."""
        attempts = self.plan.folder.trial(trial.trial_id).attempts()
        if not attempts or attempts[-1].outcome.is_file():
            return
        hang_s = self.plan.suite.limits.hang_minutes * 60
        found = self.supervisor.find(
            attempts[-1], Timeouts(hang_s=hang_s, total_s=None), on_event=partial(self.observer.event, trial)
        )
        if found is not None:
            self.observer.start(trial, attempts[-1].log)
            running.follow(trial, found, partial(self._start, trial, preflight=False))

    def _job(self, trial: Trial, number: int, history: Sequence[Attempt], slot: Slot, *, preflight: bool) -> Job:
        suite = self.plan.suite
        return Job(
            trial=trial,
            number=number,
            device=slot.device,
            threads=slot.threads,
            import_folder=str(suite.path.resolve().parent),
            preflight=self.plan.where if preflight else None,
            accumulate=max(retry.parts(history, trial, suite.on_oom), self._preflight_parts(trial)),
            checkpoint_s=suite.limits.checkpoint_minutes * 60,
            cache=suite.cache,
            cache_folder=str(self.plan.folder.decoded_images.resolve()),
            headers=str(self.plan.folder.headers(trial.dataset.name).resolve()),
            reserved_bytes=self.reserved_bytes,
        )

    def _preflight_parts(self, trial: Trial) -> int:
        """Return in how many parts the preflight of this configuration passed a batch: each seed does the same."""
        preflight = self.plan.preflights.get(configuration_key(trial))
        return preflight.accumulate if preflight and self.plan.suite.on_oom == "accumulate" else 1

    def _record_same_failure(self, trial: Trial, failed: Attempt) -> None:
        """Record for a trial what another seed of its configuration failed of in its preflight."""
        folder = self.plan.folder.trial(trial.trial_id).next_attempt()
        job = self._job(trial, folder.number, (), self.plan.slots[0], preflight=True)
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


def _read_alike(trial: Trial) -> tuple[str, ImageSize]:
    """What trials have in common whose preflights would read the same items of a dataset."""
    return trial.dataset.fingerprint, trial.architecture.image_size


def _ids(trials: Sequence[Trial]) -> tuple[str, ...]:
    return tuple(trial.trial_id for trial in trials)


def _check_same_failures(failures: Sequence[Attempt], *, n_pending: int) -> None:
    """Stop the run where the last trials all failed soon and in the same way, and others are still to come.

    Raises:
        RepeatedError: that is so.
    """
    last = failures[-_SAME_FAILURES:]
    same = all(failure.wall_s < _SOON_S and retry.same_failure(last[0], failure) for failure in last)
    if len(last) == _SAME_FAILURES and same and n_pending:
        raise RepeatedError(
            f"{_SAME_FAILURES} trials in a row failed within their first minute with the same traceback, so the other "
            f"{n_pending} were not tried: {last[0].reason}; mend it, then run the same command with --retry-failed"
        )


def _ends_late(plan: Plan, trial: Trial, until: datetime) -> bool:
    """Return whether a trial that starts now would not end in time.

    Raises:
        UsageError: how long it takes is not known.
    """
    expected = refresh(plan).expected()  # what ran meanwhile says more than a preflight
    if trial.trial_id not in expected:
        raise UsageError(
            f"how long {trial.trial_id} takes is not known, so --until and --budget cannot be kept; leave "
            "--no-preflight out"
        )
    return datetime.now(UTC) + timedelta(seconds=expected[trial.trial_id]) > until
