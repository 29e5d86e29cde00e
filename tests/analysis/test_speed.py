"""Nobody is called faster without a race, nor across machines, nor beyond what the blocks of the race say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from harness.analysis import speed
from harness.analysis.race.read import RaceTimes
from harness.store.race import Entrant
from tests.store.make_race import make_environment


def _rows(*latencies: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "configuration": [f"c{number}" for number in range(len(latencies))],
            "variant": "as trained",
            "map": [0.5 - 0.1 * number for number in range(len(latencies))],
            "latency_median_s": latencies,
            "latency_p95_s": latencies,
        }
    )


def _race(*seconds: list[float]) -> RaceTimes:
    entrants = tuple(
        Entrant(label=f"r{n}", configuration=f"c{n}", variant="as trained", trial_ids=("t",))
        for n in range(len(seconds))
    )
    array = np.array(seconds).T
    return RaceTimes(
        number=1, entrants=entrants, seconds=array, p95_s=array * 1.5, failed={}, environment=make_environment()
    )


def test_medians_of_one_process_each_call_nobody_faster() -> None:
    """The ratio is shown, without an interval and without a claim."""
    rows = speed.with_race(_rows(0.2, 0.1), None)
    claim = speed.compare_speeds(rows, None, groups=((0, 1),), reasons=()).claim(1, 0)
    assert claim.word == "not raced"
    assert claim.times == pytest.approx(2.0)
    assert claim.interval is None
    assert not claim.separated


def test_a_race_separates_what_its_blocks_agree_on() -> None:
    """Twice as fast in each of five blocks is faster, with an interval; the latency shown is that of the race."""
    race = _race([0.20, 0.21, 0.19, 0.20, 0.22], [0.10, 0.105, 0.094, 0.101, 0.108])
    rows = speed.with_race(_rows(0.5, 0.5), race)
    assert rows["latency_median_s"].tolist() == pytest.approx([0.204, 0.1015], abs=0.001)
    assert rows["latency_p95_s"].tolist() == pytest.approx([0.306, 0.1524])
    assert rows["latency_trial_s"].tolist() == [0.5, 0.5]
    speeds = speed.compare_speeds(rows, race, groups=((0, 1),), reasons=())
    claim, turned = speeds.claim(1, 0), speeds.claim(0, 1)
    assert (claim.word, turned.word) == ("faster", "slower")
    assert claim.interval is not None
    assert 1 < claim.interval.low < claim.times < claim.interval.high
    assert turned.times == pytest.approx(1 / claim.times)


def test_blocks_that_disagree_separate_nobody() -> None:
    """The interval beside the words holds 1."""
    race = _race([0.10, 0.20, 0.10], [0.11, 0.15, 0.12])
    rows = speed.with_race(_rows(0.1, 0.1), race)
    claim = speed.compare_speeds(rows, race, groups=((0, 1),), reasons=()).claim(1, 0)
    assert claim.word == "not separated"
    assert claim.interval is not None
    assert claim.interval.low < 1 < claim.interval.high


def test_speeds_of_two_machines_have_no_ratio() -> None:
    """Whatever their numbers are."""
    rows = speed.with_race(_rows(0.2, 0.1), None)
    claim = speed.compare_speeds(rows, None, groups=((0,), (1,)), reasons=("cpu",)).claim(1, 0)
    assert claim.word == "not comparable"
    assert math.isnan(claim.times)


def test_a_row_that_did_not_race_keeps_its_own_latency() -> None:
    """A third row beside two that raced: it is compared by medians of the trials, whatever the hour of the race was."""
    race = _race([0.20, 0.21, 0.19], [0.10, 0.105, 0.094])
    rows = speed.with_race(_rows(0.1, 0.05, 0.3), race)
    assert rows["latency_median_s"][2] == rows["latency_p95_s"][2] == 0.3
    assert math.isnan(rows["latency_race_low_s"][2])
    claim = speed.compare_speeds(rows, race, groups=((0, 1, 2),), reasons=()).claim(2, 0)
    assert claim.word == "not raced"
    assert claim.times == pytest.approx(1 / 3)


@pytest.mark.parametrize(("own", "fastest"), [((0.1, 0.05, 0.06), 1), ((0.1, 0.05, 0.04), 2), ((0.05, 0.1, 0.06), 2)])
def test_the_fastest_is_found_by_what_compares(own: tuple[float, float, float], fastest: int) -> None:
    """In the race of those that raced, where the second won; against one that did not race by medians of the trials."""
    race = _race([0.20, 0.21, 0.19], [0.10, 0.105, 0.094])
    rows = speed.with_race(_rows(*own), race)
    assert speed.compare_speeds(rows, race, groups=((0, 1, 2),), reasons=()).fastest((0, 1, 2)) == fastest
