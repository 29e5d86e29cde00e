"""Real kills of real trials: what was killed is a failed row with a reason, everything else goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TINY_MODEL


def _start(suite: Path, results: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-m", "harness", "run", str(suite), "--results", str(results)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "CI": "true"},
    )


def _child_of(parent: int) -> int:
    """The pid of the running trial, once it trains."""
    for _ in range(600):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            if "harness.trial" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        time.sleep(0.05)
    raise AssertionError("no trial started")


def _wait_for_step(results: Path) -> None:
    for _ in range(1200):
        if any('"step"' in path.read_text() for path in results.glob("*/trials/*/attempts/*/events.jsonl")):
            return
        time.sleep(0.05)
    raise AssertionError("no trial trained")


def test_a_killed_child_is_a_failed_row_and_the_others_go_on(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Kill −9 in training: exit 1, the reason in the report, the second seed measured; the same command finishes it."""
    suite = tiny_suite(
        rest="hyperparameters: {epochs: 3, batch_size: 2, lr: 1e-4}\nseeds: [0, 1]\n"
        "protocol: {level: quick, latency_images: 20}\n"
    )
    results = tmp_path / "results"
    run = _start(suite, results)
    child = _child_of(run.pid)
    _wait_for_step(results)
    os.kill(child, signal.SIGKILL)
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 1, output
    assert "killed by signal 9 (SIGKILL)" in output
    page = (results / "tiny" / "report.md").read_text()
    assert "1 of 2 trials measured, **1 failed**" in page
    assert "killed by signal 9 (SIGKILL); likely out of host memory" in page
    records = list(results.glob("tiny/trials/*/record.json"))
    assert len(records) == 1
    before = records[0].read_bytes()

    again = _start(suite, results)
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    assert records[0].read_bytes() == before
    (retried,) = set(results.glob("tiny/trials/*/record.json")) - set(records)
    assert [attempt["outcome"] for attempt in json.loads(retried.read_text())["attempts"]] == ["failed", "succeeded"]
    assert "2 of 2 trials measured" in (results / "tiny" / "report.md").read_text()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_no_trial_outlives_its_runner(number: signal.Signals, tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A closed terminal, or kill −9 of the runner: within ten seconds no process of the trial is left."""
    suite = tiny_suite(rest="hyperparameters: {epochs: 5000, batch_size: 2, lr: 1e-4}\nprotocol: quick\n")
    run = _start(suite, tmp_path / "results")
    child = _child_of(run.pid)
    _wait_for_step(tmp_path / "results")
    run.send_signal(number)
    run.communicate(timeout=30)
    assert run.returncode == (130 if number is signal.SIGHUP else -signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_interrupted_run_says_so_and_leaves_no_child(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """SIGINT in training: exit 130 soon, the report written, no process left, and nothing counts as failed."""
    suite = tiny_suite(
        architectures=f"  - name: fasterrcnn_mobilenet_v3_large_fpn\n{TINY_MODEL}",
        rest="hyperparameters: {epochs: 5000, batch_size: 2, lr: 1e-4}\nprotocol: quick\n",
    )
    results = tmp_path / "results"
    run = _start(suite, results)
    child = _child_of(run.pid)
    _wait_for_step(results)
    started = time.monotonic()
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    assert time.monotonic() - started < 20
    assert "the same command goes on" in output
    assert not Path(f"/proc/{child}").exists()
    page = (results / "tiny" / "report.md").read_text()
    assert "0 of 1 trials measured, 1 left" in page
