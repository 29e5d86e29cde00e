"""Forty kills of runs, with what else a night brings: nothing lost or repeated, no process and no temporary left."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from harness.store import files, record
from harness.store.job import OUTCOME
from tests.conftest import FAST
from tests.executors.forked import BackgroundCommand
from tests.faults.runs import events_below, keep_and_compare, start, trials_of, wait_for

KILLS = 40
EVENTS = 12  # about as many as a trial writes
HANG_S = 6.0
PAUSE_S = 1.5 * HANG_S
LIMITS = f"limits: {{hang_minutes: {HANG_S / 60}, trial_hours: 0.5}}\n"
CASES = ("plain", "child", "pause", "clock step", "removed lock", "no links")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?")


def refuse_links() -> None:
    """As a file system without hard links does; what this process forks refuses them too."""

    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    os.link = link


@pytest.mark.slow
def test_forty_kills_of_a_night_lose_and_leave_nothing(tiny_suite: Callable[..., Path], fast_path: Path) -> None:
    """Kills of runner and trial at random moments, beside pauses, clock steps, a removed lock, and no hard links."""
    suite = tiny_suite(rest=f"hyperparameters: {{epochs: 1, batch_size: 2}}\nseeds: [0, 1]\n{LIMITS}{FAST}")
    moments = random.Random(15)
    kills: Counter[str] = Counter()
    rounds = 0
    while kills.total() < KILLS or rounds % len(CASES):
        case = CASES[rounds % len(CASES)]
        rounds += 1
        results = fast_path / f"results{rounds}"
        kept: dict[Path, tuple[bytes, int]] = {}
        most = 1 if case == "child" else 4  # a trial that is killed twice is given up
        for after in [moments.randint(0, EVENTS) for _ in range(most)] + [None]:
            run = start(suite, results, prepare=refuse_links if case == "no links" else None)
            kills[case] += _disturb(run, suite, results, case, after)
            wait_for(lambda: not trials_of(results), "the end of the trial's processes", seconds=10)  # noqa: B023
            if case == "clock step":
                _step_clock(results, moments.choice((-86400, 86400)))
            keep_and_compare(results, kept)
        assert len(kept) == 2
        assert "2 of 2 trials measured" in (results / "tiny" / "report.md").read_text()
        assert not list(results.rglob(f"{files.TEMPORARY}*"))
        ended = [record.decode(OUTCOME, path.read_bytes(), str(path)) for path in results.rglob("outcome.json")]
        assert {end.outcome for end in ended} <= {"succeeded", "interrupted", "failed"}, ended
        assert {end.cause for end in ended if end.outcome == "failed"} <= {"killed"}, ended
    logging.getLogger(__name__).info("kills: %s", dict(kills))


def _disturb(run: BackgroundCommand, suite: Path, results: Path, case: str, after: int | None) -> int:
    """Kill the run, or its trial, once so many events were written; return whether something was killed."""
    before = events_below(results)
    while after is not None and run.poll() is None and events_below(results) - before < after:
        time.sleep(0.05)
    killed = 0
    if after is not None and run.poll() is None:
        if case == "pause":
            _pause((run.pid, *trials_of(results)))
        elif case == "removed lock":
            _remove_lock(suite, results)
        if case == "child":
            killed = _kill(pid for pid in trials_of(results) if os.getpgid(pid) == pid)
        else:
            killed = _kill([run.pid])
    output = run.output()
    assert run.returncode in {0, -signal.SIGKILL}, output
    return killed


def _kill(processes: Iterable[int]) -> int:
    """Kill −9 each; return how many there were."""
    killed = 0
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            killed += 1
    return killed


def _pause(processes: Iterable[int]) -> None:
    """Stop all of them for longer than a trial may be silent, as a suspended laptop or a paused container does."""
    stopped = list(processes)
    for number, pause_s in ((signal.SIGSTOP, PAUSE_S), (signal.SIGCONT, 2.0)):
        for process in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        time.sleep(pause_s)


def _remove_lock(suite: Path, results: Path) -> None:
    """Delete the file of the lock: a second run is refused all the same."""
    (results / "tiny" / "lock.json").unlink(missing_ok=True)
    second = start(suite, results)
    output = second.output()
    assert second.returncode == 4, output
    assert "another run writes here" in output


def _step_clock(results: Path, seconds: int) -> None:
    """Make the killed attempts' events what a clock that stepped in the middle of them would have written."""
    for path in results.rglob("events.jsonl"):
        if (path.parent / "outcome.json").exists():
            continue
        lines = path.read_text().splitlines(keepends=True)
        later = [_TIME.sub(lambda time: _shifted(time[0], seconds), line) for line in lines[len(lines) // 2 :]]
        path.write_text("".join(lines[: len(lines) // 2] + later))


def _shifted(moment: str, seconds: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()
