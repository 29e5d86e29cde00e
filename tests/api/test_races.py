"""A race from Python: who enters it, in which order, what ends it, and how it goes on."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import harness
from harness.errors import Interrupted, MachineError, UsageError
from harness.observers.plain import PlainView
from harness.store.job import Job, OutcomeName
from harness.store.paths import SuiteFolder
from harness.store.race import read_race
from harness.store.record import Record
from tests.executors.scripted import MadeExecutor
from tests.store.make import make_folder, make_record, make_trial

FAST, SLOW = "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
SEEDS = ((SLOW, 0, 0.5, 0.04), (SLOW, 1, 0.5, 0.04), (FAST, 0, 0.4, 0.02))


def results(root: Path, *records: Record, weights: bool = True) -> SuiteFolder:
    """A results folder with the weights of each trial; by default of two rows, one of them with two seeds."""
    made = records or tuple(
        make_record(make_trial(name, seed=seed), map=map_, latency_s=latency) for name, seed, map_, latency in SEEDS
    )
    folder = make_folder(root, list(made))
    for one in made if weights else ():
        checkpoints = folder.trial(one.trial.trial_id).checkpoints
        checkpoints.mkdir()
        (checkpoints / "weights.pt").write_bytes(b"made")
    return folder


def latency(job: Job) -> float:
    """The detectors of different speed, each block another."""
    assert job.race is not None
    return (0.02 if FAST in job.trial.trial_id else 0.04) * (1 + job.race.first_image / 1000)


def run(folder: SuiteFolder, executor: MadeExecutor, **options: Any) -> tuple[harness.RaceSummary, str]:
    """The summary of the one dataset, and the lines that were printed."""
    stream = io.StringIO()
    view = PlainView(Console(file=stream, width=200))
    (summary,) = harness.race(folder.path, executor=executor, observers=(view,), **options)
    return summary, stream.getvalue()


def test_a_race_runs_each_row_in_each_block_with_its_seeds_in_turn(tmp_path: Path) -> None:
    """By the protocol's level; each block times other images; the ratio is against the most accurate row."""
    folder, executor = results(tmp_path), MadeExecutor(latency)
    summary, printed = run(folder, executor)
    race = summary.state.race  # type: ignore[union-attr]
    assert (race.blocks, race.level, race.images, race.seconds) == (3, "quick", 20, 0.0)
    assert [entrant.label for entrant in race.entrants] == [SLOW, FAST]
    by_block = [executor.turns[start : start + 2] for start in (0, 2, 4)]
    fast, (first, second) = race.entrants[1].trial_ids[0], race.entrants[0].trial_ids
    assert [set(turns) for turns in by_block] == [{fast, first}, {fast, second}, {fast, first}]
    assert [job.race.first_image for job in executor.jobs if job.race] == [0, 0, 20, 20, 40, 40]
    assert all(job.weights and Path(job.weights).is_file() and job.variant is None for job in executor.jobs)
    verdict = summary.verdicts()[FAST]
    assert verdict.word == "faster"
    assert verdict.ratio.value == pytest.approx(0.5)
    assert f"race of speed on shapes starts: 2 rows, 3 blocks, about 1 min; files: {folder.path}/races/1" in printed
    assert printed.count("block 2/3: ") == 2
    assert f"block 1/3: {FAST} 20.0 ms" in printed
    assert folder.report.is_file()


def test_an_interrupted_race_goes_on_with_the_first_missing_turn(tmp_path: Path) -> None:
    """A signal in the fourth turn: that one is taken again, none before it; what it left is kept."""
    folder = results(tmp_path)

    def stop_at_four(job: Job) -> float:
        if len(interrupted.jobs) == 4:
            raise Interrupted(signal.SIGTERM)
        return latency(job)

    interrupted = MadeExecutor(stop_at_four)
    with pytest.raises(Interrupted):
        run(folder, interrupted)
    executor = MadeExecutor(latency)
    summary, printed = run(folder, executor)
    assert executor.turns == [interrupted.turns[3], *executor.turns[1:]]
    assert len(executor.turns) == 3
    assert "goes on with 3 of 6 turns" in printed
    (aside,) = folder.races()[0].path.glob("2/*.interrupted-1")
    assert (aside / "outcome.json").is_file()
    assert len(folder.races()) == 1
    assert summary.state == read_race(folder.races()[0])
    assert summary.verdicts()[FAST].ratio.blocks == 3


def test_a_machine_that_cannot_go_on_stops_the_race_and_costs_no_entrant(tmp_path: Path) -> None:
    """As a full disk does; the next race goes on with all of them."""
    folder = results(tmp_path)

    def full(_job: Job) -> float:
        raise MachineError("the disk is full")

    with pytest.raises(MachineError, match="the disk is full"):
        run(folder, MadeExecutor(full))
    summary, _ = run(folder, MadeExecutor(latency))
    assert summary.failed == {}
    assert summary.verdicts()[FAST].ratio.blocks == 3


def test_an_entrant_that_fails_leaves_the_race(tmp_path: Path) -> None:
    """It runs in no further block; the others go on, and the summary says who left and why."""
    third = make_record(make_trial("fasterrcnn_resnet50_fpn"), map=0.6, latency_s=0.06)
    made = [make_record(make_trial(name), map=map_, latency_s=s) for name, _, map_, s in (SEEDS[0], SEEDS[2])]
    folder = results(tmp_path, *made, third)

    def fail(job: Job) -> float | OutcomeName:
        return "out_of_memory" if "resnet50_fpn-" in job.trial.trial_id and SLOW not in job.trial.trial_id else 0.02

    executor = MadeExecutor(fail)
    summary, printed = run(folder, executor)
    assert len(executor.turns) == 3 + 3 + 1
    assert summary.failed == {"fasterrcnn_resnet50_fpn": "as scripted"}
    assert "fasterrcnn_resnet50_fpn left the race: as scripted" in summary.remarks
    assert "fasterrcnn_resnet50_fpn as scripted; it leaves the race" in printed
    assert summary.times is not None
    assert summary.state is not None
    assert summary.state.complete_blocks == 3


@pytest.mark.slow
def test_a_second_race_is_a_race_of_its_own(tmp_path: Path) -> None:
    """A person who asks again gets new numbers; other blocks are another race."""
    folder = results(tmp_path)
    for number, blocks in ((1, None), (2, None), (3, 2)):
        summary, _ = run(folder, MadeExecutor(latency), blocks=blocks)
        assert summary.state is not None
        assert summary.state.folder.number == number
    assert len(list(folder.races()[2].path.glob("*/*/block.json"))) == 4


def test_weights_that_are_gone_are_told(tmp_path: Path) -> None:
    """A seed without them does not race; with one row left there is no race, and the message says why."""
    folder = results(tmp_path)
    trials = sorted(folder.path.glob(f"trials/*{SLOW}*"))
    (trials[0] / "checkpoints" / "weights.pt").unlink()
    summary, _ = run(folder, MadeExecutor(latency))
    assert summary.state is not None
    assert summary.state.race.entrants[0].trial_ids == (trials[1].name,)
    assert f"{trials[0].name} does not race: " in summary.remarks[0]
    (trials[1] / "checkpoints" / "weights.pt").unlink()
    with pytest.raises(UsageError, match=r"(?s)is not there any more.*a race needs two measured rows .* there are 1"):
        run(folder, MadeExecutor(latency))


def test_time_that_is_up_starts_no_race_and_no_block(tmp_path: Path) -> None:
    """Before the first block nothing is written; between blocks what has run stays, and goes on next time."""
    folder = results(tmp_path)
    soon = datetime.now(UTC) + timedelta(seconds=30)  # six turns of ten seconds and more
    summary, _ = run(folder, MadeExecutor(latency), until=soon)
    assert (summary.state, summary.in_time) == (None, False)
    assert "would not be done in time" in summary.remarks[0]
    assert folder.races() == ()


def test_copies_of_each_row_say_how_often_equal_ones_seem_to_differ(tmp_path: Path) -> None:
    """Two rows three times: six pairs of equals; such a race decides nothing on the page."""
    folder = results(tmp_path)
    turns: list[int] = []

    def differ(_job: Job) -> float:
        turns.append(1)
        return 0.02 * 1.01 ** (len(turns) % 7)

    summary, _ = run(folder, MadeExecutor(differ), copies=3)
    assert summary.state is not None
    assert [entrant.label for entrant in summary.state.race.entrants[:3]] == [f"{SLOW} #{n}" for n in (1, 2, 3)]
    assert summary.copies_called_different()[1] == 6
    assert len(turns) == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 1}, "blocks: expected a whole number from 2 to 100, got 1"),
        ({"blocks": 101}, "blocks: expected a whole number from 2 to 100, got 101"),
        ({"copies": 0}, "copies: expected a whole number from 1 on, got 0"),
        ({"rows": ["nobody"]}, f"--row nobody: no row has this name; the rows are:\n  {SLOW}"),
        ({"rows": FAST}, "a race needs two measured rows whose weights are there; there are 1"),
        ({"device": "gpu"}, "none of auto, cpu, cuda, cuda:N"),
        ({"until": "07:00"}, "until: expected a datetime, got '07:00'"),
    ],
)
def test_wrong_arguments_of_a_race_are_told(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """Before anything is started."""
    folder, executor = results(tmp_path), MadeExecutor(latency)
    with pytest.raises(UsageError) as wrong:
        harness.race(folder.path, executor=executor, **options)
    assert message in str(wrong.value)
    assert executor.jobs == []
    assert folder.races() == ()


def _suite(tiny_suite: Callable[..., Path]) -> Path:
    suite = tiny_suite()
    suite.write_text(f"{suite.read_text()}sweep: {{lr: [1e-4, 1e-3]}}\nseeds: [0, 1]\n")
    return suite


def test_a_run_races_its_rows_once(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """After the last trial; a second run measures nothing and races nobody; `race=False` leaves it out."""
    executor = MadeExecutor()
    plan = harness.plan(_suite(tiny_suite), results=tmp_path / "r")
    assert harness.run(plan, executor=executor, race=False).races == ()
    assert executor.turns == []
    (summary,) = harness.run(plan, executor=executor).races
    assert summary.state is not None
    assert summary.ran
    assert len(executor.turns) == 6
    (again,) = harness.run(plan, executor=executor).races
    assert again.state == summary.state
    assert not again.ran
    assert len(executor.turns) == 6


@pytest.mark.slow
def test_a_run_races_only_what_is_done(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Nothing after a failure that stopped it, of one row, or of a subset of the images; and nothing is said of it."""
    suite = _suite(tiny_suite)
    for options in ({"select": "*lr0.001*"}, {"max_images": 2}):
        assert harness.run(suite, results=tmp_path / "r", executor=MadeExecutor(), **options).races == ()


def test_a_run_whose_time_is_up_does_not_race(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """It says so, and `harness race` or the next run makes up for it."""
    plan = harness.plan(_suite(tiny_suite), results=tmp_path / "r")
    harness.run(plan, executor=MadeExecutor(), race=False)
    executor = MadeExecutor()
    (summary,) = harness.run(plan, executor=executor, until=datetime.now(UTC) + timedelta(seconds=20)).races
    assert summary.state is None
    assert "`harness race` runs it" in summary.remarks[0]
    assert executor.turns == []


def test_a_race_whose_machine_changed_on_the_way_is_run_again(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Two blocks there and one here compare nothing; once raced in one environment, it is not run again."""
    plan = harness.plan(_suite(tiny_suite), results=tmp_path / "r")
    harness.run(plan, executor=MadeExecutor())
    for path in plan.folder.path.glob("races/1/[12]/*/block.json"):
        path.write_text(path.read_text().replace('"torch": "2.15"', '"torch": "2.11"').replace("2026", "2025"))
    for turns in (6, 0):
        executor = MadeExecutor()
        (summary,) = harness.run(plan, executor=executor).races
        assert len(executor.turns) == turns
        assert summary.times is not None
        assert summary.times.number == 2
