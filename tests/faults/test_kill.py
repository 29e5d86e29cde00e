"""Real kills of real trials and runs: nothing finished is lost or repeated, and what goes on ends in the same bits."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store import files, paths, record
from harness.store.job import JOB, Job
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.suite.trial import Trial
from tests.conftest import FAST, Command
from tests.executors.attempt import attempt
from tests.executors.fork_server import fork_from
from tests.faults.runs import (
    events_below,
    events_in,
    keep_and_compare,
    leader_of,
    start,
    start_as_a_user,
    trials_of,
    wait_for,
)

LONG = "hyperparameters: {epochs: 100000, batch_size: 2, lr: 1e-4}\nprotocol: quick\n"
KILLS = 20
RUNNER_KILLS = 5  # forty in test_night
EVENTS = 12  # about as many as a trial writes: kills fall before, into and between trials


class _Kills:
    """Runs one trial, attempt after attempt, each in a fresh process that is killed after its n-th event."""

    def __init__(self, root: Path, trial: Trial) -> None:
        self._moments = random.Random(6)
        self._root, self._trial = root, trial
        self.folder = paths.TrialFolder(root / "0")

    def begin(self) -> None:
        """A new folder: the trial from its start."""
        self.folder = paths.TrialFolder(self._root / str(int(self.folder.path.name) + 1))

    def run(self, kill_after: int | None) -> bool:
        """Run one attempt; return whether it was killed, once it had written so many events."""
        folder = self.folder.next_attempt()
        job = Job(trial=self._trial, number=folder.number, device="cpu", threads=2, import_folder="/", checkpoint_s=0.2)
        files.commit(folder.job, record.encode(JOB, job))
        process = fork_from(attempt, str(folder.path))
        while kill_after is not None and process.is_alive() and events_in(folder.events) < kill_after:
            time.sleep(0.004)
        killed = kill_after is not None and process.is_alive()
        if killed:
            time.sleep(
                self._moments.uniform(0, 0.02)
            )  # into a step, a checkpoint or an image, not only behind an event
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == 0 or (killed and process.exitcode == -signal.SIGKILL), folder.log.read_text()
        return process.exitcode != 0

    def record(self) -> record.Record:
        return record.decode(record.RECORD, self.folder.record.read_bytes(), str(self.folder.record))


def test_a_trial_killed_anywhere_ends_with_the_same_bits(tiny_suite: Callable[..., Path], fast_path: Path) -> None:
    """At least twenty kills −9 at random moments, resumed after each: the uninterrupted run's weights, to the bit."""
    suite = tiny_suite(
        datasets="  shapes: {format: synthetic, train: {images: 6}, val: {images: 2}, size: 64, classes: 2}\n",
        rest=f"hyperparameters: {{epochs: 12, batch_size: 2, lr: 1e-3, validate_every: 4}}\n{FAST}",
    )
    (trial,) = plan_trials(load_suite(suite), {"shapes": "f"}, max_images=None)
    kills = _Kills(fast_path, trial)
    kills.run(None)
    whole = kills.record()
    assert not [warning for warning in whole.warnings if warning.name == "resumed"]
    events = events_in(kills.folder.attempts()[-1].events)
    moments = random.Random(4)
    done = resumed = 0
    while done < KILLS:
        kills.begin()
        while kills.run(None if done >= KILLS else moments.randint(0, events)):
            done += 1
        again = kills.record()
        assert again.model.state_sha256 == whole.model.state_sha256
        assert [epoch.loss for epoch in again.measurements.epochs] == [e.loss for e in whole.measurements.epochs]
        assert again.metrics == whole.metrics
        assert [a.outcome for a in again.attempts[:-1]] == ["interrupted"] * (len(kills.folder.attempts()) - 1)
        resumed += any(warning.name == "resumed" for warning in again.warnings)
        assert not list(kills.folder.path.rglob("training-*"))
    assert resumed


def test_a_run_killed_anywhere_loses_and_repeats_nothing(tiny_suite: Callable[..., Path], fast_path: Path) -> None:
    """At least five kills −9 of the runner at random moments: the same command goes on, and leaves no process."""
    suite = tiny_suite(rest=f"hyperparameters: {{epochs: 1, batch_size: 2}}\nseeds: [0, 1]\n{FAST}")
    moments = random.Random(5)
    kills = rounds = 0
    while kills < RUNNER_KILLS:
        rounds += 1
        results = fast_path / f"results{rounds}"
        kept: dict[Path, tuple[bytes, int]] = {}
        while _killed(suite, results, moments.randint(0, EVENTS) if kills < RUNNER_KILLS else None):
            kills += 1
            keep_and_compare(results, kept)
        keep_and_compare(results, kept)
        assert len(kept) == 2
        assert "2 of 2 trials measured" in (results / "tiny" / "report.md").read_text()
        assert not list(results.rglob(f"{files.TEMPORARY}*"))


def _killed(suite: Path, results: Path, after_events: int | None) -> bool:
    """Run the suite; return whether it was killed, once so many more events were written below `results`.

    No process of it is left in ten seconds.
    """
    before = events_below(results)
    run = start(suite, results)
    while after_events is not None and run.poll() is None and events_below(results) - before < after_events:
        time.sleep(0.05)  # a closer watch would take a core from the run
    if after_events is not None:
        run.kill()
    output = run.output()
    assert run.returncode in {0, -signal.SIGKILL}, output
    wait_for(lambda: not trials_of(results), "the end of the trial's processes", seconds=10)
    return run.returncode != 0


def test_a_killed_child_goes_on_where_it_stopped(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Once: it is resumed in the same run, and the record and the page say so."""
    often = "limits: {checkpoint_minutes: 0.001}\n"
    suite = tiny_suite(rest=f"hyperparameters: {{epochs: 4, batch_size: 2, lr: 1e-4}}\n{often}{FAST}")
    results = tmp_path / "results"
    run = start(suite, results)
    child = leader_of(results)
    wait_for(lambda: bool(list(results.glob("tiny/trials/*/checkpoints/*.state"))), "a checkpoint")
    os.kill(child, signal.SIGKILL)
    output = run.output(timeout=240)
    assert run.returncode == 0, output
    assert "killed by signal 9 (SIGKILL); likely out of host memory; it is tried again" in output
    assert "resumed at epoch" in output
    (path,) = results.glob("tiny/trials/*/record.json")
    found = record.decode(record.RECORD, path.read_bytes(), str(path))
    assert [(a.outcome, a.cause) for a in found.attempts] == [("failed", "killed"), ("succeeded", None)]
    assert [epoch.epoch for epoch in found.measurements.epochs] == [1, 2, 3, 4]
    page = (results / "tiny" / "report.md").read_text()
    assert "1 of 1 trials measured. First started" in page
    assert "resumed: training was interrupted and resumed at epoch" in page


def test_a_trial_that_is_killed_twice_is_given_up(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Its row says why; the same command does not repeat it, and says so; `--retry-failed` tries it again."""
    (tmp_path / "parts.py").write_text(
        "import os, torch\n"
        "class Deadly(torch.utils.data.Dataset):\n"
        "    def __len__(self):\n"
        "        return 2\n"
        "    def __getitem__(self, index):\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    split = "{dataset: 'parts:Deadly'}"
    suite = tiny_suite(datasets=f"  parts: {{format: python, classes: [bolt], train: {split}, val: {split}}}\n")
    results = tmp_path / "results"
    run = harness_command("run", suite, "--results", results, "--no-preflight")
    output = run.stdout
    assert run.returncode == 1, output
    assert output.count("killed by signal 9") == 2
    page = (results / "tiny" / "report.md").read_text()
    assert "0 of 1 trials measured, **1 failed**" in page
    assert "**failed, 1 trial:** killed by signal 9 (SIGKILL); likely out of host memory" in page
    assert "--retry-failed`" in page

    run = harness_command("run", suite, "--results", results, "--no-preflight")
    output = run.stdout
    assert run.returncode == 1
    assert "is not tried again: it failed: killed by signal 9" in output
    assert "1 failed before and were not repeated; --retry-failed tries them again" in output
    assert len(list(results.glob("tiny/trials/*/attempts/*"))) == 2
    run = harness_command("run", suite, "--results", results, "--no-preflight", "--retry-failed")
    assert run.returncode == 1, run.stdout
    assert len(list(results.glob("tiny/trials/*/attempts/*"))) == 3


@pytest.mark.parametrize("number", [pytest.param(signal.SIGHUP, marks=pytest.mark.slow), signal.SIGKILL])
def test_no_trial_outlives_its_runner(number: signal.Signals, tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A closed terminal, or kill −9 of the runner, with two loader processes: in ten seconds no process is left."""
    suite = tiny_suite(rest=LONG.replace("lr: 1e-4", "lr: 1e-4, loader_workers: 2"))
    results = tmp_path / "results"
    run = start_as_a_user(suite, results)
    leader_of(results)
    assert len(trials_of(results)) == 4  # the trial, its guard, two loaders
    run.send_signal(number)
    run.communicate(timeout=30)
    assert run.returncode == (129 if number is signal.SIGHUP else -signal.SIGKILL)
    wait_for(lambda: not trials_of(results), "the end of the trial's processes", seconds=10)


def test_a_child_that_holds_pythons_lock_ends_with_its_runner(tmp_path: Path, tiny_suite: Callable[..., Path]) -> None:
    """Even a trial that is stuck in a library, python's lock held, does not outlive a killed runner."""
    (tmp_path / "stuck.py").write_text(
        "import ctypes, torch\n"
        "class Stuck(torch.utils.data.Dataset):\n"
        "    def __len__(self):\n"
        "        return 2\n"
        "    def __getitem__(self, index):\n"
        "        print('STUCK', flush=True)\n"
        "        ctypes.PyDLL(None).sleep(600)\n"
    )
    split = "{dataset: 'stuck:Stuck'}"
    suite = tiny_suite(
        datasets=f"  stuck: {{format: python, classes: [a], train: {split}, val: {split}}}\n",
    )
    results = tmp_path / "results"
    run = start(suite, results)
    logs = "tiny/trials/*/attempts/1/log.txt"
    wait_for(lambda: any("STUCK" in path.read_text() for path in results.glob(logs)), "the stuck item")
    run.kill()
    run.output()
    wait_for(lambda: not trials_of(results), "the end of the trial's processes", seconds=10)
