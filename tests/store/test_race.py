"""The files of a race: what is missing, who is out, and what of damaged files is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.store import record
from harness.store.paths import AttemptFolder, SuiteFolder
from harness.store.race import BLOCK, RACE, read_race, read_races
from tests.store.make_race import make_entrant, make_race, make_result, write_end, write_race


def test_each_block_runs_every_entrant_once_in_an_order_of_its_own() -> None:
    """The order is that of the stored seed, for whoever reads the race later, and not the same in every block."""
    race = make_race(*(make_entrant(name) for name in "abcde"), blocks=9)
    orders = [race.order(block) for block in range(1, 10)]
    assert all(sorted(order) == [1, 2, 3, 4, 5] for order in orders)
    assert len(set(orders)) == 9
    assert orders == [make_race(*race.entrants).order(block) for block in range(1, 10)]


def test_every_second_block_runs_in_reverse() -> None:
    """Who is early in one block is late in the next, so that a drift within blocks favours nobody."""
    race = make_race(*(make_entrant(name) for name in "abc"), blocks=4)
    assert [race.order(block)[::-1] for block in (1, 3)] == [race.order(block) for block in (2, 4)]


def test_seeds_race_in_turn() -> None:
    """So that the difference between seeds is part of the error."""
    entrant = make_entrant(seeds=2)
    assert [entrant.trial_id(block) for block in (1, 2, 3)] == ["a-s0", "a-s1", "a-s0"]


def test_a_race_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every field of the race and of each turn; nothing is missing of a whole one."""
    race = make_race(blocks=2)
    place = write_race(SuiteFolder(tmp_path), race, [[0.02, 0.04], [0.03, 0.05]])
    state = read_race(place)
    assert state is not None
    assert state.race == race
    assert state.results[2, 1] == make_result("a-s0", 0.03)
    assert (state.missing, state.complete_blocks, state.failed) == ((), 2, {})


def test_the_first_missing_turn_is_next(tmp_path: Path) -> None:
    """In the order of the blocks and of the entrants in them; an interrupted turn is missing."""
    race = make_race()
    place = write_race(SuiteFolder(tmp_path), race, [[0.02, 0.04]])
    write_end(place, 2, race.order(2)[0], "interrupted")
    state = read_race(place)
    assert state is not None
    assert state.missing == tuple((block, entrant) for block in (2, 3) for entrant in race.order(block))
    assert state.complete_blocks == 1


def test_who_fails_is_out_and_the_others_go_on(tmp_path: Path) -> None:
    """Its blocks are complete without it; a race of one that is left has ended."""
    race = make_race(*(make_entrant(name) for name in "abc"), blocks=2)
    place = write_race(SuiteFolder(tmp_path), race, [[0.02, None, 0.03]])
    write_end(place, 1, 2, "failed", "killed by signal 9")
    state = read_race(place)
    assert state is not None
    assert state.failed[2].reason == "killed by signal 9"
    assert {entrant for _, entrant in state.missing} == {1, 3}
    assert state.complete_blocks == 1
    write_end(place, 2, 1, "hung")
    state = read_race(place)
    assert state is not None
    assert state.missing == ()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"image_median_s": 0}, "image_median_s: Input should be greater than 0"),
        ({"image_median_s": -0.02}, "image_median_s: Input should be greater than 0"),
        ({"image_median_s": 1e308}, "image_median_s: Input should be less than or equal to"),
        ({"image_median_s": "fast"}, "image_median_s: Input should be a valid number"),
        ({"trial_id": "somebody"}, "is of somebody, which is not who races here"),
        ({"variant": "compile"}, "which is not who races here"),
    ],
)
def test_a_damaged_turn_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: dict[str, Any], said: str
) -> None:
    """It counts as missing, and the rest of the race is read."""
    place = write_race(SuiteFolder(tmp_path), make_race(), [[0.02, 0.04]])
    path = place.turn(1, 1).committed
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    state = read_race(place)
    assert state is not None
    assert (1, 1) in state.missing
    assert (1, 2) in state.results
    assert said in caplog.text


def test_a_race_that_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Torn, with one entrant, or without its first file: the older one is read; another dataset's is not."""
    folder = SuiteFolder(tmp_path)
    write_race(folder, make_race(), [[0.02, 0.04]])
    torn = write_race(folder, make_race())
    torn.race.write_bytes(torn.race.read_bytes()[:40])
    alone = write_race(folder, make_race())
    document = json.loads(alone.race.read_text())
    alone.race.write_text(json.dumps({**document, "entrants": document["entrants"][:1]}))
    folder.next_race()
    write_race(folder, make_race(dataset="others"))
    assert [state.folder.number for state in read_races(folder, "shapes")] == [1]
    assert caplog.text.count("the race is left out") == 2


def test_an_impossible_number_of_blocks_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading a billion of them would never end."""
    place = write_race(SuiteFolder(tmp_path), make_race())
    place.race.write_text(json.dumps({**json.loads(place.race.read_text()), "blocks": 10**9}))
    assert read_race(place) is None
    assert "blocks: Input should be less than or equal to 100" in caplog.text


def test_a_document_keeps_every_field() -> None:
    """There and back."""
    race, result = make_race(copies=3), make_result()
    assert record.decode(RACE, record.encode(RACE, race), "race.json") == race
    assert record.decode(BLOCK, record.encode(BLOCK, result), "block.json") == result


def test_only_a_turn_of_a_race_commits_a_block(tmp_path: Path) -> None:
    """A trial's attempt and a measurement commit records, wherever they lie."""
    turn = SuiteFolder(tmp_path).next_race().turn(2, 1)
    assert turn.committed == tmp_path / "races" / "1" / "2" / "1" / "block.json"
    assert turn.result.samples == turn.path / "samples.parquet"
    assert AttemptFolder(tmp_path / "races" / "x" / "attempts" / "1").committed.name == "record.json"
    assert AttemptFolder(tmp_path / "races" / "x" / "measurements" / "1").committed.name == "record.json"
    assert AttemptFolder(Path("1/2")).committed.name == "record.json"
