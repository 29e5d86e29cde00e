"""A search for hyperparameters whose runner is killed goes on with the same values, and loses no record."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store import paths, results
from harness.store.results import TrialState
from tests.conftest import FAST
from tests.faults.runs import events_below, keep_and_compare, start, trials_of, wait_for

DATA = "  shapes: {format: synthetic, train: {images: 6}, val: {images: 3}, test: {images: 4}, size: 64, classes: 2}\n"
REST = (
    "hyperparameters: {epochs: 3, batch_size: 2}\nseeds: [0, 1]\n"
    f"search: {{trials: 4, epochs: 1, over: {{lr: [1e-4, 1e-2, log], schedule: [cosine, constant]}}}}\n{FAST}"
)
KILLS = 4
EVENTS = 25  # of about two trials


@pytest.mark.slow
def test_a_killed_search_goes_on_with_the_same_values(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Four kills -9 of the runner: the trials, values and weights of the run that nobody disturbed."""
    suite = tiny_suite(datasets=DATA, rest=REST)
    whole = _ended(suite, tmp_path / "whole")
    moments = random.Random(7)
    kept: dict[Path, tuple[bytes, int]] = {}
    folder = tmp_path / "killed"
    for _ in range(KILLS):
        run, before = start(suite, folder, "--no-race"), events_below(folder)
        until = before + moments.randint(1, EVENTS)
        while run.poll() is None and events_below(folder) < until:
            time.sleep(0.05)
        run.kill()
        run.output()
        wait_for(lambda: not trials_of(folder), "the end of the trial's processes", seconds=30)
        keep_and_compare(folder, kept)
    killed = _ended(suite, folder)
    keep_and_compare(folder, kept)
    assert _what(killed) == _what(whole)


def test_a_search_is_judged_on_val_and_its_seeds_on_test(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A real search of two trials, from the command to the page: nothing of it stands in the rows."""
    rest = REST.replace("trials: 4", "trials: 2").replace("seeds: [0, 1]", "seeds: [3]")
    states = _ended(tiny_suite(datasets=DATA, rest=rest), tmp_path / "r")
    records = [state.record for state in states if state.record is not None]
    assert [(one.trial.search is None, one.metrics.split, one.trial.seed) for one in records] == [
        (False, "val", 0),
        (False, "val", 0),
        (True, "test", 3),
    ]
    assert [len(one.measurements.epochs) for one in records] == [1, 1, 3]
    page = (tmp_path / "r" / "tiny" / "report.md").read_text()
    assert "The row was tuned before its seeds ran: 2 trials of 1 epoch." in page
    assert page.count("search1-s0") == 0


def _ended(suite: Path, folder: Path) -> tuple[TrialState, ...]:
    """Run the suite to its end; return what its folder holds."""
    run = start(suite, folder, "--no-race")
    output = run.output(timeout=600)
    assert run.returncode == 0, output
    return results.read_results(paths.SuiteFolder(folder / "tiny"))


def _what(states: tuple[TrialState, ...]) -> list[tuple[object, ...]]:
    """Return what two runs must have in common: trials, values, weights."""
    made = [(state.trial, state.record) for state in states]
    return [
        (
            trial.trial_id,
            trial.search.values if trial.search else trial.tuned.values if trial.tuned else None,
            record.model.state_sha256 if record else None,
        )
        for trial, record in made
    ]
