"""`harness race` on real weights: each turn in a process of its own, its files, its end by a signal."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.analysis.race.read import times_of
from harness.cli.race import race_lines
from harness.executors.base import Executor
from harness.store.paths import SuiteFolder
from harness.store.race import read_race
from harness.store.tables import read_timings
from tests.conftest import TOY, Command
from tests.executors import forked
from tests.faults.runs import wait_for
from tests.store.make_race import make_entrant, make_race, write_race

SUITE = (
    "suite: tiny\ndatasets:\n"
    "  shapes: {format: synthetic, train: {images: 4}, val: {images: 24}, size: 64, classes: 2}\n"
    f"architectures:\n{TOY}"
    "hyperparameters: {epochs: 1, batch_size: 2}\n"
    "protocol: {level: quick, rounds: 1, throughput_batch_size: 2, variants: [channels_last]}\n"
    "sweep: {lr: [1e-4, 1e-3]}\n"
)
ROW, OTHER, VARIANT = "toy (lr 0.001), eager-fp32", "toy (lr 0.0001), eager-fp32", "toy (lr 0.0001), channels_last"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, fast_executor: Executor) -> Path:
    """The results of two configurations with a variant each."""
    root = tmp_path_factory.mktemp("raced")
    (root / "tiny.yaml").write_text(SUITE)
    summary = harness.run(
        root / "tiny.yaml", results=root / "results", preflight=False, race=False, executor=fast_executor
    )
    assert summary.succeeded == 2, summary
    return root / "results" / "tiny"


def _blocks(results: Path, number: int) -> dict[tuple[int, int], dict[str, Any]]:
    paths = (results / "races" / str(number)).glob("*/*/block.json")
    return {(int(path.parts[-3]), int(path.parts[-2])): json.loads(path.read_text()) for path in paths}


def test_a_race_leaves_every_sample_and_a_ratio(harness_command: Command, trained: Path) -> None:
    """Twenty images a turn, other ones in each block, at the threshold of deployment; variants race as such."""
    done = harness_command("race", trained, "--all", "--blocks", "2", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    race = json.loads((trained / "races" / "1" / "race.json").read_text())
    assert sorted(entrant["variant"] for entrant in race["entrants"]) == ["as trained"] * 2 + ["channels_last"] * 2
    blocks = _blocks(trained, 1)
    assert len(blocks) == 8
    for (block, number), found in blocks.items():
        entrant = race["entrants"][number - 1]
        assert (found["trial_id"], found["variant"]) == (entrant["trial_ids"][0], entrant["variant"])
        assert (found["score_threshold"], found["images"], found["latency_s"]["n"]) == (0.05, 20, 20)
        assert found["environment"]["device"] == "cpu"
        folder = trained / "races" / "1" / str(block) / str(number)
        (timings,) = read_timings((folder / "samples.parquet").read_bytes()).values()
        first = (block - 1) * 20
        assert timings.images.tolist() == [(first + image) % 24 for image in range(20)]
        assert found["image_median_s"] == pytest.approx(np.median(timings.seconds))
        assert {path.name for path in folder.iterdir()} == {
            "job.json", "events.jsonl", "log.txt", "outcome.json", "block.json", "samples.parquet",
        }  # fmt: skip
    labels = [entrant["label"] for entrant in race["entrants"]]
    assert f"shapes: speed against {labels[0]}, over 2 blocks" in done.stdout
    assert all(f"  {label}: " in done.stdout for label in labels[1:])
    assert done.stdout.count(" block 2/2: ") == 4
    assert not list(trained.glob("trials/*/measurements"))


def test_a_signal_ends_a_race_that_goes_on_later(harness_command: Command, trained: Path) -> None:
    """SIGTERM between two turns or in one: 143, the command that goes on, and no turn that has ended is repeated."""
    number = len(list(trained.glob("races/*"))) + 1
    options = ("--row", "toy", "--blocks", "3")
    run = forked.BackgroundCommand("race", str(trained), *options)
    wait_for(lambda: len(_blocks(trained, number)) > 2, "the third turn")
    run.send_signal(signal.SIGTERM)
    said = run.output()
    assert run.returncode == 143, said
    assert "interrupted by SIGTERM" in said
    kept = {path: path.read_bytes() for path in trained.glob(f"races/{number}/*/*/block.json")}
    assert len(kept) < 12
    done = harness_command("race", trained, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"goes on with {12 - len(kept)} of 12 turns" in done.stdout
    assert len(_blocks(trained, number)) == 12
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--blocks", "1"), "1 is not in the range 2<=x<=100"),
        (("--row", "nobody"), "--row nobody: no row has this name; the rows are:"),
        (
            ("--row", ROW),
            "a race needs two measured rows whose weights are there; there are 1",
        ),
        (("--device", "gpu"), "none of auto, cpu, cuda, cuda:N"),
        (("--executor", "moon"), "--executor moon"),
    ],
)
def test_a_wrong_race_is_told_in_words(
    harness_command: Command, trained: Path, options: tuple[str, ...], said: str
) -> None:
    """With exit code 2, and nothing raced."""
    before = len(list(trained.glob("races/*")))
    done = harness_command("race", trained, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list(trained.glob("races/*"))) == before


def test_copies_say_how_often_equals_seem_to_differ(harness_command: Command, trained: Path) -> None:
    """The check of a race on one's own machine: one row three times makes three pairs."""
    row = ("--row", ROW)
    done = harness_command("race", trained, *row, "--copies", "3", "--blocks", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " of 3 pairs of equal entrants are called different (p < 0.05 each, uncorrected)" in done.stdout


def test_what_fails_in_a_turn_is_told(harness_command: Command, trained: Path) -> None:
    """Weights that are torn: that row leaves the race with its reason; the command exits with 1."""
    (weights,) = trained.glob("trials/*lr0.001*/checkpoints/weights.pt")
    content = weights.read_bytes()
    weights.write_bytes(content[:1000])
    try:
        rows = ("--row", ROW, "--row", OTHER, "--row", VARIANT)
        done = harness_command("race", trained, *rows, "--blocks", "2")
    finally:
        weights.write_bytes(content)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "left the race: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert len(_blocks(trained, len(list(trained.glob("races/*"))))) == 4


def test_the_lines_of_a_race_say_what_the_page_says(tmp_path: Path) -> None:
    """Each interval is corrected as its verdict is: of three equal pairs it is wider than that of one alone."""
    folder = SuiteFolder(tmp_path)
    seconds = [[0.100, 0.095, 0.060], [0.102, 0.0935, 0.061], [0.099, 0.0945, 0.059]]
    place = write_race(folder, make_race(*map(make_entrant, "abc"), blocks=9), seconds)
    state = read_race(place)
    assert state is not None
    summary = harness.RaceSummary(dataset="shapes", state=state, times=times_of(state), remarks=())
    head, second, third = race_lines(summary)
    assert head == "shapes: speed against a, over 3 blocks (95 % intervals and p by Holm):"
    assert second == "  b: 1.06× [1.01–1.12] as fast: faster, p = 0.04"
    assert third == "  c: 1.67× [1.65–1.70] as fast: faster, p = 4.3e-05"
