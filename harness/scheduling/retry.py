"""Whether a trial gets another attempt: this table, as functions of how its attempts so far ended.

    cause of the end                                    another attempt
    error      suite, data or code error of the trial   no
    memory     out of device memory                     no; with `on_oom: accumulate` once, at half the micro-batch
    killed     by a signal, such as the kernel's        once, resuming
    hung       no progress                              once, resuming
    lost       the place where it ran is gone           up to ten times, resuming
    time       longer than `limits.trial_hours`         no
    exception  not one of ours                          once: the same twice ends it
    machine    disk full, device gone                   by running again
    signal     a person, or the runner's end            by running again

A preflight that went well begins a new count: what failed before it was mended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store.job import Attempt
    from harness.suite.schema import OnOutOfMemory
    from harness.suite.trial import Trial

History = Sequence["Attempt"]

_MOST_LOST = 10


def is_over(history: History, trial: Trial, on_oom: OnOutOfMemory) -> bool:
    """Return whether the trial failed for a reason of its own, so that only `--retry-failed` tries it again."""
    last = history[-1] if history else None
    if last is None or last.outcome in {"interrupted", "preflight_passed", "succeeded"}:
        return False
    if last.outcome == "out_of_memory":
        tried = sum(attempt.outcome == "out_of_memory" for attempt in history)
        return on_oom != "accumulate" or tried > 1 or _parts(trial, halved=True) == _parts(trial, halved=False)
    most = _MOST_LOST if last.cause == "lost" else 1
    return not last.retryable or sum(attempt.cause == last.cause for attempt in _since_preflight(history)) > most


def parts(history: History, trial: Trial, on_oom: OnOutOfMemory) -> int:
    """Return in how many parts the next attempt passes a batch: the trial's number, or twice it after out of memory."""
    short = any(attempt.outcome == "out_of_memory" for attempt in history)
    return _parts(trial, halved=short and on_oom == "accumulate")


def left_s(history: History, allowed_s: float) -> float:
    """Return how many seconds the next attempt may take, of those that a trial has in all.

    An attempt that used up the last of them was ended as timed out, and after that a person may grant them once more.
    So where there seem to be none left without that, some clock was wrong, and the trial keeps them all.
    """
    left = allowed_s - spent_s(history)
    return left if left > 0 else allowed_s


def spent_s(history: History) -> float:
    """Return the seconds of all attempts since the trial last ended for a reason of its own, without preflights."""
    total = 0.0
    for attempt in reversed(history):
        if attempt.outcome == "timed_out":
            break
        total += 0.0 if attempt.outcome == "preflight_passed" else attempt.wall_s
    return total


def same_failure(first: Attempt, second: Attempt) -> bool:
    """Return whether two attempts failed with the same traceback, but for numbers, addresses and the trial's id."""
    return first.traceback is not None and _essence(first.traceback) == _essence(second.traceback or "")


def _parts(trial: Trial, *, halved: bool) -> int:
    h = trial.hyperparameters
    return min(h.accumulate * 2, h.batch_size) if halved else h.accumulate


def _since_preflight(history: History) -> History:
    preflights = [index for index, attempt in enumerate(history) if attempt.outcome == "preflight_passed"]
    return history[preflights[-1] + 1 :] if preflights else history


def _essence(traceback: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+|[\w.-]*-s\d+-[0-9a-f]{8}|\d+", "…", traceback)
