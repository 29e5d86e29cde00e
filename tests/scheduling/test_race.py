"""Which turn is next and when a race stops; on made numbers, without processes of detectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.executors.supervise import Supervisor
from harness.scheduling import race as racing
from harness.scheduling.observer import Observers
from harness.store.paths import SuiteFolder
from harness.store.race import Race, RaceState
from tests.executors.scripted import MadeExecutor
from tests.store.make import make_trial
from tests.store.make_race import make_entrant, make_race, write_end, write_race


def runner(race: Race, executor: MadeExecutor, *observers: Any, expected_s: float = 0.1) -> racing.RaceRunner:
    weights = {
        trial_id: racing.TrainedWeights(trial=make_trial(trial_id), file=Path("w.pt"), import_folder="/")
        for entrant in race.entrants
        for trial_id in entrant.trial_ids
    }
    return racing.RaceRunner(
        folder=SuiteFolder(Path("results/made")),
        weights=weights,
        expected_s=dict.fromkeys(range(1, len(race.entrants) + 1), expected_s),
        device="cpu",
        threads=1,
        supervisor=Supervisor(executor=executor),
        observer=Observers(observers),
    )


def test_a_block_that_would_not_end_in_time_is_not_begun(tmp_path: Path) -> None:
    """The turns of the first block took 3 s each, not the 0.1 s that were expected; what has run stays."""
    race, executor = make_race(), MadeExecutor()
    state = racing.begin(SuiteFolder(tmp_path), race)
    state = runner(race, executor).run(state, datetime.now(UTC) + timedelta(seconds=4))
    assert len(executor.turns) == 2
    assert state.complete_blocks == 1
    executor = MadeExecutor()
    state = runner(race, executor).run(state, None)
    assert (len(executor.turns), state.missing) == (4, ())


def test_a_variant_races_as_that_variant(tmp_path: Path) -> None:
    """The model as it was trained has none."""
    race, executor = make_race(make_entrant("a"), make_entrant("b", variant="compile"), blocks=2), MadeExecutor()
    runner(race, executor).run(racing.begin(SuiteFolder(tmp_path), race), None)
    variants = {job.trial.architecture.name: job.variant for job in executor.jobs}
    assert variants == {"a-s0": None, "b-s0": "compile"}


def test_an_observer_need_not_follow_races(tmp_path: Path) -> None:
    """One without these methods hears nothing of them and stays; one that has them hears of every turn."""

    class Trials:
        def poll(self) -> None:
            pass

    class Races(Trials):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def race(self, _race: Race, _folder: Path, n_turns: int, expected_s: float) -> None:
            self.heard.append(f"{n_turns} turns, {expected_s:.1f} s")

        def turn_end(self, _race: Race, block: int, entrant: Any, result: Any, _reason: str) -> None:
            self.heard.append(f"{block} {entrant.label} {result.image_median_s}")

    race, follower = make_race(blocks=2), Races()
    runner(race, MadeExecutor(), Trials(), follower).run(racing.begin(SuiteFolder(tmp_path), race), None)
    expected = [f"{block} {race.entrants[number - 1].label} 0.02" for block, number in race.turns]
    assert follower.heard == ["4 turns, 0.4 s", *expected]


def _numbers(states: list[RaceState | None]) -> list[int | None]:
    return [None if state is None else state.folder.number for state in states]


def test_a_race_goes_on_only_with_the_same_entrants(tmp_path: Path) -> None:
    """The newest that is not finished: their order and their labels do not matter, their weights and blocks do."""
    folder, race = SuiteFolder(tmp_path), make_race(make_entrant("a"), make_entrant("b"))
    write_race(folder, race, [[0.02, None]])
    write_race(folder, race, [[0.02, None]])
    write_race(folder, race, [[0.02, 0.04]] * 3)
    asked = make_race(make_entrant("b"), make_entrant("a"), order_seed=1)
    others = [
        make_race(make_entrant("a", seeds=2), make_entrant("b")),
        make_race(make_entrant("a"), make_entrant("c")),
        make_race(copies=2),
        make_race(level="standard", seconds=3.0),
    ]
    assert _numbers([racing.unfinished(folder, one, blocks=False) for one in (asked, *others)]) == [2, *[None] * 4]
    more = make_race(blocks=5)
    assert _numbers([racing.unfinished(folder, more, blocks=blocks) for blocks in (False, True)]) == [2, None]
    assert _numbers([racing.finished(folder, one) for one in (asked, make_race(blocks=2), more)]) == [3, 3, None]


def test_an_interrupted_turn_is_set_aside_as_often_as_it_takes(tmp_path: Path) -> None:
    """Each attempt's files stay, under names of their own."""
    race = make_race(blocks=2)
    place = write_race(SuiteFolder(tmp_path), race)
    first = race.order(1)[0]
    for _ in range(2):
        write_end(place, 1, first, "interrupted")
        racing._set_aside(place.turn(1, first))
    assert sorted(path.name for path in (place.path / "1").iterdir()) == [f"{first}.interrupted-{n}" for n in (1, 2)]


@pytest.mark.parametrize(("level", "blocks", "seconds"), [("quick", 3, 0.0), ("standard", 5, 3.0), ("publish", 9, 3.0)])
def test_the_protocols_level_sets_blocks_and_seconds(level: Any, blocks: int, seconds: float) -> None:
    """Unless a number of blocks is given; each race has an order of its own."""
    race = racing.new_race("shapes", make_race().entrants, level, blocks=None, copies=1)
    assert (race.blocks, race.seconds, race.images) == (blocks, seconds, 20)
    assert racing.new_race("shapes", race.entrants, level, blocks=4, copies=1).blocks == 4
