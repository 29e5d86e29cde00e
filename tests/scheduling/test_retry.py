"""The table of ends: which trial gets another attempt, and how it passes its batch then."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scheduling import retry
from harness.store.job import Attempt
from tests.store.make import make_attempt, make_trial

KILLED = ("failed", "killed", True)
HUNG = ("hung", "hung", True)
RAISED = ("failed", "exception", True)
ERROR = ("failed", "error", False)
MEMORY = ("out_of_memory", "memory", False)
LATE = ("timed_out", "time", False)
STOPPED = ("interrupted", "signal", True)
DISK = ("interrupted", "machine", True)
REHEARSED = ("preflight_passed", None, False)


def _history(*ends: tuple[Any, Any, bool]) -> list[Attempt]:
    return [
        make_attempt(outcome, "why", number=number, cause=cause, retryable=retryable)
        for number, (outcome, cause, retryable) in enumerate(ends, start=1)
    ]


@pytest.mark.parametrize(
    ("ends", "over"),
    [
        ((), False),
        ((KILLED,), False),
        ((KILLED, KILLED), True),
        ((HUNG,), False),
        ((HUNG, HUNG), True),
        ((RAISED,), False),
        ((RAISED, RAISED), True),
        ((KILLED, HUNG), False),
        ((KILLED, HUNG, KILLED), True),
        ((ERROR,), True),
        ((LATE,), True),
        ((MEMORY,), True),
        ((STOPPED,) * 5, False),
        ((DISK,) * 5, False),
        ((ERROR, STOPPED), False),  # somebody tried it again, and was cut short
        ((KILLED, REHEARSED, KILLED), False),
        ((REHEARSED,), False),
    ],
)
def test_each_row_of_the_table(ends: tuple[tuple[Any, Any, bool], ...], over: bool) -> None:  # noqa: FBT001
    """Once for what may be chance, never for what is the trial's own, always for what came from outside."""
    assert retry.is_over(_history(*ends), make_trial(), "fail") is over


def test_out_of_memory_halves_the_micro_batch_once() -> None:
    """With `on_oom: accumulate`: one more attempt in twice as many parts, kept in later ones; a second one ends it."""
    trial = make_trial()
    own = trial.hyperparameters.accumulate
    assert trial.hyperparameters.batch_size >= 2 * own
    once = _history(MEMORY)
    assert not retry.is_over(once, trial, "accumulate")
    assert retry.parts(once, trial, "accumulate") == 2 * own
    assert retry.parts(once, trial, "fail") == own
    assert retry.parts((), trial, "accumulate") == own
    assert retry.parts(_history(MEMORY, REHEARSED, STOPPED), trial, "accumulate") == 2 * own
    assert retry.is_over(_history(MEMORY, MEMORY), trial, "accumulate")


def test_time_is_counted_over_attempts() -> None:
    """All since the last time out, but for rehearsals; so a raised limit begins anew."""
    assert retry.spent_s(_history(STOPPED, REHEARSED, KILLED)) == 6.0
    assert retry.spent_s(_history(STOPPED, LATE, STOPPED)) == 3.0
    assert retry.left_s(_history(STOPPED, REHEARSED, KILLED), 10.0) == 4.0


def test_no_clock_takes_all_of_a_trials_time() -> None:
    """Whoever used it up was ended as timed out: hours that were spent without that are a clock's mistake."""
    assert retry.left_s((), 3600.0) == 3600.0
    assert retry.left_s([make_attempt("interrupted", "why", wall_s=36_000.0)], 3600.0) == 3600.0
    assert retry.left_s([make_attempt("timed_out", "why", wall_s=3600.0)], 3600.0) == 3600.0


def test_the_same_traceback_is_told_from_another() -> None:
    """An index, an address and the trial's id do not count; the text does; nothing is not the same as nothing."""

    def failed(text: str | None) -> Attempt:
        return make_attempt("failed", "why", traceback=text)

    first = failed('  File "x.py", line 3\nKeyError: item 7 of <Parts at 0x7f00>, parts-ssd-s0-0123abcd')
    assert retry.same_failure(first, failed(first.traceback))
    same = '  File "x.py", line 3\nKeyError: item 12 of <Parts at 0x7fff>, parts-ssd-s1-ffff0000'
    assert retry.same_failure(first, failed(same))
    assert not retry.same_failure(first, failed(same.replace("KeyError", "ValueError")))
    assert not retry.same_failure(failed(None), failed(None))
