"""A laptop that sleeps, a container that is paused, a clock that is set: none of them takes a trial's time."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from harness.store.events import PausedEvent, read_events
from harness.store.job import OUTCOME
from harness.store.paths import AttemptFolder
from harness.store.record import decode
from tests.conftest import FAST, Command
from tests.faults.runs import has_event, leader_of, start, trials_of, wait_for

DATASET = """
import time, torch
class Parts(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        time.sleep(0.1)
        return torch.rand(3, 64, 64), {"boxes": torch.tensor([[4., 4., 30., 30.]]), "labels": torch.tensor([1])}
"""
HANG_S, PAUSE_S, TRIAL_S = 9, 12, 90


def _suite(tiny_suite: Callable[..., Path], folder: Path, *, epochs: int) -> Path:
    (folder / "parts.py").write_text(DATASET)
    split = "{dataset: 'parts:Parts'}"
    return tiny_suite(
        datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n",
        rest=f"hyperparameters: {{epochs: {epochs}, batch_size: 2, loader_workers: 1}}\n{FAST}"
        f"limits: {{hang_minutes: {HANG_S / 60}, trial_hours: {TRIAL_S / 3600}}}\n",
    )


def test_a_run_that_stands_still_goes_on_as_if_nothing_had_been(
    tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """SIGSTOP of the runner and of all that works on the trial, for longer than `hang_minutes`; then SIGCONT.

    The trial succeeds in its first attempt, which took the time without the pause.
    """
    results = tmp_path / "results"
    run = start(_suite(tiny_suite, tmp_path, epochs=4), results, "--no-race")
    leader_of(results)
    began = time.monotonic()
    processes = [run.pid, *trials_of(results)]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGSTOP:
            time.sleep(PAUSE_S)
    output = run.output(timeout=300)
    assert run.returncode == 0, output
    assert "stood still for 1" in output
    (attempt,) = results.glob("tiny/trials/*/attempts/1")
    assert not (attempt.parent / "2").exists()
    folder = AttemptFolder(attempt)
    (paused,) = [event for event in read_events(folder.events) if isinstance(event, PausedEvent)]
    assert paused.paused_s >= PAUSE_S - 2
    outcome = decode(OUTCOME, folder.outcome.read_bytes(), "x")
    whole_s = (datetime.fromisoformat(_last_time(folder)) - datetime.fromisoformat(outcome.started_at)).total_seconds()
    assert outcome.wall_s <= whole_s - paused.paused_s + 2
    assert time.monotonic() - began > PAUSE_S


def _last_time(folder: AttemptFolder) -> str:
    return read_events(folder.events)[-1].time


class _SetForward(datetime):
    """A time of day that is set ten hours forward while the first step is trained, and never back."""

    calls = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        cls.calls += 1
        return datetime.now(tz) + timedelta(hours=10 * (cls.calls > 4))


def _set_the_clock_forward() -> None:
    import harness.trial.events

    harness.trial.events.datetime = _SetForward  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_clock_that_is_set_forward_uses_up_no_hours(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Ten hours in an attempt that was killed with its runner: the next one has the time that is really left."""
    suite, results = _suite(tiny_suite, tmp_path, epochs=2), tmp_path / "results"
    run = start(suite, results, "--no-race", prepare=_set_the_clock_forward)
    leader_of(results)
    run.kill()
    run.output(timeout=60)
    wait_for(lambda: not trials_of(results), "the trial's end", seconds=10)
    assert has_event(results, '"step"')
    done = harness_command("run", suite, "--results", results, "--no-race", "--no-preflight")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = results.glob("tiny/trials/*/record.json")
    assert '"wall_s": 36' not in record.read_text()
