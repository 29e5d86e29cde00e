"""One attempt from its job to its outcome: read the job, run it, commit what came out, and how it ended.

The process around it (signals, logging, the guard against orphans) is `harness.trial.__main__`'s, or an executor's.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from harness import foreign
from harness.errors import HarnessError, Interrupted, MachineError
from harness.store import files, record, results
from harness.store.events import paused_s, read_events
from harness.store.job import JOB, OUTCOME, PREFLIGHT, Attempt, Outcome
from harness.store.race import BLOCK, BlockResult
from harness.trial import failure
from harness.trial.context import build_context
from harness.trial.events import EventWriter
from harness.trial.preflight import run_preflight
from harness.trial.race import run_turn
from harness.trial.run import benchmark_weights, run_trial
from harness.trial.train.resume import States

if TYPE_CHECKING:
    from harness.store.paths import AttemptFolder
    from harness.trial.interrupt import InterruptHandler

log = logging.getLogger(__name__)


def run_attempt(folder: AttemptFolder, interrupt: InterruptHandler, *, began: float) -> int:
    """Run the job in `folder`, commit its record, and write its outcome; return the exit code.

    0 where it succeeded, 1 where it failed, 3 where the machine cannot go on: what happened is in `outcome.json` and
    the log. An attempt that was asked to stop returns 128 + the signal and writes no outcome: whoever asked knows why.

    Args:
        interrupt: says whether the attempt was asked to stop.
        began: when its process began, by `time.perf_counter`.
    """
    try:
        return _run_attempt(folder, interrupt, began)
    except Interrupted as asked:
        log.warning("asked to stop by signal %d", asked.number)
        return 128 + asked.number


def _run_attempt(folder: AttemptFolder, interrupt: InterruptHandler, began: float) -> int:
    job = record.decode(JOB, folder.job.read_bytes(), str(folder.job))
    started_at = (datetime.now(UTC) - timedelta(seconds=time.perf_counter() - began)).isoformat(timespec="seconds")
    finished: record.Record | BlockResult | None = None
    ended: dict[str, Any] = {"outcome": "preflight_passed" if job.preflight else "succeeded", "reason": None}
    code = 0
    try:
        with folder.events.open("a", encoding="utf-8") as stream:
            events = EventWriter(stream, given_up=folder.outcome.is_file)
            context = build_context(job, events, lambda: interrupt.asked)
            if job.preflight:
                startup_s = time.perf_counter() - began
                preflight = run_preflight(context, events, where=job.preflight, startup_s=startup_s, items=job.items)
                files.replace(folder.trial.preflight, record.encode(PREFLIGHT, preflight))
            elif job.race is not None:
                finished = run_turn(job, job.race, context, folder, events, interrupt.check)
            elif job.weights:
                finished = benchmark_weights(job, context, folder, events, interrupt)
            else:
                finished = run_trial(job, context, folder, events, interrupt)
        if finished is not None:  # what the next run could not read must not be committed, nor trained once more
            _check_readable(finished, str(folder.committed))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is reported: the others go on
        interrupt.check()  # a loader's process that a signal to all of them ended is no failure
        finished = None
        failed = failure.classify(error)
        log.error("%s\n%s", foreign.whole_traceback(error), failed.reason)
        code = failed.code
        ended = {name: getattr(failed, name) for name in ("outcome", "reason", "cause", "traceback")}
        ended["retryable"] = failed.retryable
    wall_s = max(0.0, time.perf_counter() - began - paused_s(read_events(folder.events)))
    outcome = Outcome(**{"retryable": False, **ended}, started_at=started_at, wall_s=wall_s)
    try:
        with interrupt.deferred():
            _commit(folder, outcome, finished)
    except HarnessError as error:
        log.error("%s", error)
        _commit_why(folder, outcome, error)
        return error.exit_code
    return code


def _check_readable(finished: record.Record | BlockResult, path: str) -> None:
    if isinstance(finished, BlockResult):
        record.decode(BLOCK, record.encode(BLOCK, finished), path)
    else:
        record.decode(record.RECORD, record.encode(record.RECORD, finished), path)


def _commit(folder: AttemptFolder, outcome: Outcome, finished: record.Record | BlockResult | None) -> None:
    """Commit the record with all attempts, then the outcome; remove what a later attempt would resume from.

    An attempt that the runner has given up commits nothing: another one is at work in the same folder.
    """
    if folder.outcome.is_file():
        log.error("the runner has given this attempt up; nothing of it is kept")
        return
    if isinstance(finished, BlockResult):
        files.commit(folder.committed, record.encode(BLOCK, finished))
    elif finished is not None:
        trained = folder.result == folder.trial
        earlier = results.history(folder.trial, before=folder.number) if trained else ()
        attempts = (*earlier, Attempt(number=folder.number, **_fields(outcome)))
        finished = replace(finished, attempts=attempts)
        files.commit(folder.result.record, record.encode(record.RECORD, finished))
        if trained:
            States(folder=folder.trial.checkpoints, trial_id=finished.trial.trial_id).remove()
    files.commit(folder.outcome, record.encode(OUTCOME, outcome))


def _commit_why(folder: AttemptFolder, outcome: Outcome, error: HarnessError) -> None:
    """Say that the machine kept the record from being written; where even this fails, the runner finds the same."""
    if isinstance(error, MachineError) and not folder.committed.is_file():
        why = replace(outcome, outcome="interrupted", reason=foreign.message(error), retryable=True, cause="machine")
        with contextlib.suppress(HarnessError):
            files.commit(folder.outcome, record.encode(OUTCOME, why))


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in Outcome.__slots__}
