"""Which race of a dataset counts, and which of its blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.race.read import read_times
from harness.store.paths import SuiteFolder
from tests.store.make_race import (
    make_entrant,
    make_environment,
    make_race,
    make_result,
    write_end,
    write_race,
    write_result,
)

ROWS = {("a", "as trained"), ("b", "as trained"), ("c", "as trained")}


def test_the_newest_race_with_two_complete_blocks_counts(tmp_path: Path) -> None:
    """A newer one that was interrupted in its second block, one of copies and one of another dataset do not."""
    folder = SuiteFolder(tmp_path)
    write_race(folder, make_race(), [[0.09, 0.09]] * 3)
    write_race(folder, make_race(blocks=2), [[0.02, 0.04], [0.03, 0.05]])
    write_race(folder, make_race(), [[0.01, 0.01], [0.01, None]])
    write_race(folder, make_race(copies=2), [[0.01, 0.01]] * 3)
    write_race(folder, make_race(dataset="others"), [[0.01, 0.01]] * 3)
    times = read_times(folder, "shapes", ROWS)
    assert times is not None
    assert times.number == 2
    np.testing.assert_array_equal(times.seconds, [[0.02, 0.04], [0.03, 0.05]])
    assert (times.find("b", "as trained"), times.find("b", "compile"), times.find("c", "as trained")) == (1, None, None)
    assert read_times(folder, "nothing", ROWS) is None


def test_a_race_that_goes_on_counts_with_the_blocks_it_has(tmp_path: Path) -> None:
    """What is missing is NaN."""
    write_race(SuiteFolder(tmp_path), make_race(blocks=4), [[0.02, 0.04], [0.03, 0.05], [0.02, None]])
    times = read_times(SuiteFolder(tmp_path), "shapes", ROWS)
    assert times is not None
    assert np.isnan(times.seconds).tolist() == [[False, False], [False, False], [False, True], [True, True]]
    assert times.blocks == 2
    assert times.p95_s[:2].tolist() == [[0.02, 0.04], [0.03, 0.05]]


def test_who_left_a_race_is_told_with_the_reason(tmp_path: Path) -> None:
    """The others raced on, in all blocks."""
    race = make_race(*map(make_entrant, "abc"))
    place = write_race(SuiteFolder(tmp_path), race, [[0.02, 0.04, 0.01], [0.03, 0.05], [0.03, 0.05]])
    write_end(place, 2, 3, "failed", "no memory")
    times = read_times(SuiteFolder(tmp_path), "shapes", ROWS)
    assert times is not None
    assert times.failed == {"c": "no memory"}
    assert times.blocks == 3


@pytest.mark.parametrize(("old", "counted"), [(1, 2), (2, None)])
def test_blocks_of_another_environment_do_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: int, counted: int | None
) -> None:
    """Only those of the newest one; with fewer than two of them there is no race, and a warning says how many."""
    folder, race = SuiteFolder(tmp_path), make_race(make_entrant("a"), make_entrant("b"))
    place = write_race(folder, race)
    for block in (1, 2, 3):
        for number, name in enumerate("ab", start=1):
            torch = "2.11" if block <= old else "2.15"
            result = make_result(
                f"{name}-s0", 0.02, environment=make_environment(torch=torch), measured_at=f"2026-01-0{block}"
            )
            write_result(place, block, number, result)
    times = read_times(folder, "shapes", ROWS)
    assert f"{2 * old} of 6 turns ran in another environment" in caplog.text
    if counted is None:
        assert times is None
    else:
        assert times is not None
        assert times.environment.torch == "2.15"
        assert np.isnan(times.seconds).all(axis=1).tolist() == [True, False, False]


def test_tf32_is_an_entrants_own(tmp_path: Path) -> None:
    """It is set by each trial's protocol, so it makes no other environment."""
    folder = SuiteFolder(tmp_path)
    place = write_race(folder, make_race(blocks=2))
    for block in (1, 2):
        for number, name in enumerate("ab", start=1):
            environment = make_environment(tf32=name == "b")
            write_result(place, block, number, make_result(f"{name}-s0", environment=environment))
    times = read_times(folder, "shapes", ROWS)
    assert times is not None
    assert not np.isnan(times.seconds).any()


def test_a_race_of_other_rows_does_not_count(tmp_path: Path) -> None:
    """Rows that do not compare with these raced each other since."""
    folder = SuiteFolder(tmp_path)
    write_race(folder, make_race(), [[0.02, 0.04]] * 2)
    write_race(folder, make_race(make_entrant("x"), make_entrant("y")), [[0.01, 0.01]] * 3)
    times = read_times(folder, "shapes", ROWS)
    assert times is not None
    assert times.number == 1
