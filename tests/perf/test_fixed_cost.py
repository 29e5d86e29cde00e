"""What a trial costs beside its work, phase by phase: two trials of one training step of a small detector."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.bench

ROUNDS = 3
PHASES = (
    "plan", "imports (first trial)", "process start (second trial)", "data", "build", "first step", "work",
    "after the last pass", "report and exit",
)  # fmt: skip
SUITE = """
suite: fixed
datasets:
  shapes: {format: synthetic, train: {images: 2}, val: {images: 2}, size: 64, classes: 2}
architectures:
  - {name: ssdlite320_mobilenet_v3_large, weights: none}
hyperparameters: {epochs: 1, batch_size: 2}
protocol: {level: quick, rounds: 1}
seeds: [0, 1]
"""


def _phases(folder: Path) -> list[float]:
    """Run the suite; return the seconds of each phase, in order."""
    folder.mkdir()
    (folder / "fixed.yaml").write_text(SUITE)
    began = time.time()
    arguments = ("--results", folder, "--device", "cpu", "--no-race", "--no-preflight")
    subprocess.run(
        (sys.executable, "-m", "harness", "run", folder / "fixed.yaml", *arguments), check=True, capture_output=True
    )
    ended = time.time()
    first, attempt = sorted(folder.glob("fixed/trials/*/attempts/1"), key=_started)
    events = [json.loads(line) for line in (attempt / "events.jsonl").read_text().splitlines()]
    first_events = (json.loads(line) for line in (first / "events.jsonl").read_text().splitlines())
    imported = next(datetime.fromisoformat(event["time"]).timestamp() for event in first_events)
    at = [(event, datetime.fromisoformat(event["time"]).timestamp()) for event in events]
    stages = {event["stage"]: moment for event, moment in reversed(at) if event["event"] == "stage"}
    first_step = next(moment for event, moment in at if event["event"] == "step")
    last_pass = max(moment for event, moment in at if event["event"] == "measured")
    committed = (attempt / "outcome.json").stat().st_mtime
    moments = [_started(attempt), stages["data"], stages["model"], stages["train"], first_step, last_pass, committed]
    own = [after - before for before, after in itertools.pairwise([*moments, ended])]
    return [_started(first) - began, imported - _started(first), *own]


def _started(attempt: Path) -> float:
    return (attempt / "job.json").stat().st_mtime


def test_fixed_cost(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """From the command to its end."""
    rounds: list[list[float]] = []
    benchmark.pedantic(
        lambda: rounds.append(_phases(tmp_path / str(len(rounds)))), rounds=ROUNDS, iterations=1, warmup_rounds=0
    )
    assert len(rounds) == ROUNDS
    medians = [median(values) for values in zip(*rounds, strict=True)]
    told = zip(PHASES, medians, strict=True)
    benchmark.extra_info["said"] = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in told)
