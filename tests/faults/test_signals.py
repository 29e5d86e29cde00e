"""SIGINT and SIGTERM: the first leaves a checkpoint, a report and the command that goes on; the second ends at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store import files
from tests.conftest import FAST, TOY
from tests.faults.runs import leader_of, start, trials_of, wait_for

LONG = "hyperparameters: {epochs: 100000, batch_size: 2, lr: 1e-4}\nprotocol: quick\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_leaves_a_checkpoint(
    number: signal.Signals, code: int, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """In training: the exit code, the report, a state to go on from, the command, and no process left.

    That this takes less than 30 s is `tests.executors.test_supervise`' business, on a clock that it steps.
    """
    suite, results = tiny_suite(rest=LONG), tmp_path / "results"
    run = start(suite, results)
    leader_of(results)
    run.send_signal(number)
    output = run.output(timeout=120)
    assert run.returncode == code, output
    assert not trials_of(results)
    assert f"interrupted by {number.name}" in output
    assert f"run {suite} --results {results} --no-preflight" in output
    assert list(results.glob("tiny/trials/*/checkpoints/training-*.state"))
    (outcome,) = results.glob("tiny/trials/*/attempts/1/outcome.json")
    assert json.loads(outcome.read_text())["outcome"] == "interrupted"
    page = (results / "tiny" / "report.md").read_text()
    assert "0 of 1 trials measured, 1 left" in page
    assert f"**interrupted, 1 trial:** by {number.name}" in page


def test_a_signal_to_every_process_is_no_failure(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A reboot sends SIGTERM to the runner, the trial and its loaders at once: interrupted, to be resumed."""
    suite = tiny_suite(rest=LONG.replace("lr: 1e-4", "lr: 1e-4, loader_workers: 2"))
    results = tmp_path / "results"
    run = start(suite, results)
    group = leader_of(results)
    run.send_signal(signal.SIGTERM)
    os.killpg(group, signal.SIGTERM)
    output = run.output(timeout=60)
    assert run.returncode == 143, output
    (outcome,) = results.glob("tiny/trials/*/attempts/1/outcome.json")
    assert json.loads(outcome.read_text())["outcome"] == "interrupted"
    assert (results / "tiny" / "lock.json").read_text() == ""


def test_a_signal_during_a_checkpoint_and_the_same_command_goes_on(
    tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """SIGTERM while a checkpoint is being written: that one is finished, and the next run resumes from it."""
    suite = tiny_suite(
        architectures=TOY.replace("channels: 8", "channels: 256"),  # whose states take long enough to write
        rest=f"hyperparameters: {{epochs: 3, batch_size: 2, lr: 1e-4}}\n{FAST}limits: {{checkpoint_minutes: 0.001}}\n",
    )
    results = tmp_path / "results"
    run = start(suite, results)
    wait_for(lambda: bool(list(results.glob(f"tiny/trials/*/checkpoints/{files.TEMPORARY}*"))), "a checkpoint")
    run.send_signal(signal.SIGTERM)
    output = run.output(timeout=60)
    assert run.returncode == 143, output
    assert list(results.glob("tiny/trials/*/checkpoints/training-*.state"))
    assert not list(results.glob(f"tiny/trials/*/checkpoints/{files.TEMPORARY}*"))
    output = (run := start(suite, results)).output(timeout=120)
    assert run.returncode == 0, output
    assert "resumed at epoch" in output


def test_the_second_signal_ends_at_once(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A trial deep in an item that takes forever cannot leave a checkpoint: the second SIGINT does not wait for it."""
    (tmp_path / "slow.py").write_text(
        "import time, torch\n"
        "class Slow(torch.utils.data.Dataset):\n"
        "    def __len__(self):\n"
        "        return 2\n"
        "    def __getitem__(self, index):\n"
        "        print('SLOW', flush=True)\n"
        "        time.sleep(600)\n"
    )
    split = "{dataset: 'slow:Slow'}"
    suite = tiny_suite(
        datasets=f"  slow: {{format: python, classes: [a], train: {split}, val: {split}}}\n",
    )
    results = tmp_path / "results"
    run = start(suite, results)
    logs = "tiny/trials/*/attempts/1/log.txt"
    wait_for(lambda: any("SLOW" in path.read_text() for path in results.glob(logs)), "the slow item")
    run.send_signal(signal.SIGINT)
    time.sleep(1)
    assert run.poll() is None  # it waits for the trial's checkpoint
    run.send_signal(signal.SIGINT)
    output = run.output(timeout=60)  # of the ten minutes that the item takes
    assert run.returncode == 130, output
    (attempt,) = results.glob("tiny/trials/*/attempts/1")
    assert not (attempt / "outcome.json").exists()  # it was not waited for
    assert not trials_of(results)
