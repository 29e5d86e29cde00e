"""Ratios of speed over blocks: how often equal detectors are called different, and what one that differs comes to."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from harness.analysis.race.ratios import compare, compare_all, pairs_of_copies, ratio
from harness.analysis.race.read import RaceTimes
from tests.store.make_race import make_entrant, make_environment, make_race

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)  # pytest --log-cli-level=INFO shows the rates

N = 2000
MONTE_CARLO = 3 * math.sqrt(0.05 * 0.95 / N)


def times(seconds: NDArray[np.float64] | list[list[float]]) -> RaceTimes:
    """A race with these latencies, a row for each block."""
    array = np.array(seconds, dtype=np.float64)
    entrants = tuple(make_entrant(f"row {number}") for number in range(array.shape[1]))
    return RaceTimes(number=1, entrants=entrants, seconds=array, p95_s=array, failed={}, environment=make_environment())


def equal_entrants(rng: np.random.Generator, blocks: int, count: int) -> NDArray[np.float64]:
    """Latencies of equal detectors: 2 to 10 % between processes, each with its own spread; blocks up to 45 % apart."""
    spread = rng.uniform(0.02, 0.10, count)
    drift = rng.uniform(0, math.log(1.45), (blocks, 1))
    return 0.05 * np.exp(rng.normal(0, spread, (blocks, count)) + drift)


@pytest.mark.parametrize("blocks", [3, 5, 9])
@pytest.mark.parametrize("count", [2, 3, pytest.param(12, marks=pytest.mark.slow)])
def test_equal_detectors_are_called_different_in_one_race_of_twenty(count: int, blocks: int) -> None:
    """Any two of them, corrected for all pairs, as the page and the command say it."""
    rng = np.random.default_rng((count, blocks))
    false = 0
    for _ in range(N):
        verdicts = compare_all(times(equal_entrants(rng, blocks, count)))
        false += any(verdict.word != "not separated" for verdict in verdicts.values())
    log.info("%d equal entrants, %d blocks: false verdicts in %.3f of %d races", count, blocks, false / N, N)
    assert false / N <= 0.05 + MONTE_CARLO


@pytest.mark.parametrize(("count", "blocks"), [(2, 3), (3, 3), (3, 5)])
def test_a_drift_within_blocks_makes_no_false_alarms(count: int, blocks: int) -> None:
    """The last turn of each block takes 45 % longer than its first: each order is run in reverse as well."""
    rng = np.random.default_rng(0)
    entrants = [make_entrant(str(number)) for number in range(count)]
    false = 0
    for seed in range(N):
        race = make_race(*entrants, order_seed=seed)
        turns = np.array([np.argsort(race.order(block)) for block in range(1, blocks + 1)])  # who is how late
        slower = 1.45 ** (turns / (count - 1))
        verdicts = compare_all(times(equal_entrants(rng, blocks, count) * slower))
        false += any(verdict.word != "not separated" for verdict in verdicts.values())
    assert false / N <= 0.05 + MONTE_CARLO


def test_the_ratio_is_a_paired_t_test_of_logarithms() -> None:
    """As scipy computes it, with the interval of the same level."""
    seconds = equal_entrants(np.random.default_rng(1), 5, 2)
    found = ratio(times(seconds), 0, 1)
    logs = np.log(seconds[:, 0] / seconds[:, 1])
    expected = stats.ttest_1samp(logs, 0.0)
    interval = expected.confidence_interval(0.95)
    assert found is not None
    assert found.value == pytest.approx(math.exp(logs.mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.blocks == 5
    back = ratio(times(seconds), 1, 0)
    assert back is not None
    assert (back.value, back.low, back.high) == pytest.approx(
        (found.inverse().value, found.inverse().low, found.inverse().high)
    )


def test_a_whole_blocks_drift_cancels() -> None:
    """Each detector 44 to 145 % slower in other blocks, as on a shared machine; the ratio is that of the detectors."""
    drift = np.array([1.0, 1.44, 2.45, 1.1, 1.9])
    found = compare(
        times(np.stack([drift * 0.050, drift * 0.075 * np.array([1, 1.01, 0.99, 1, 1.01])], axis=1)), [(1, 0)]
    )
    verdict = found[1, 0]
    assert verdict.word == "slower"
    assert verdict.ratio.value == pytest.approx(1.5, rel=0.01)
    assert 1.4 < verdict.ratio.low < 1.5 < verdict.ratio.high < 1.6


def test_the_words_follow_the_adjusted_p() -> None:
    """Alone a difference is real that is not among many, and where it is real the plain interval excludes 1 as well."""
    rng = np.random.default_rng(3)
    seconds = equal_entrants(rng, 5, 12)
    seconds[:, 1] = seconds[:, 0] * np.exp(-0.10 + np.array([0.07, -0.07, 0.05, -0.05, 0.0]))
    alone = compare(times(seconds), [(1, 0)])[1, 0]
    among = compare(times(seconds), [(index, 0) for index in range(1, 12)])[1, 0]
    assert (alone.word, among.word) == ("faster", "not separated")
    assert alone.ratio == among.ratio
    assert alone.ratio.high < 1
    assert alone.adjusted_p == alone.ratio.p < 0.05 < among.adjusted_p


def test_only_blocks_that_both_ran_count() -> None:
    """One of them left the race after two blocks; with fewer than two there is no ratio, and no verdict."""
    nan = float("nan")
    raced = times([[0.02, 0.04, 0.04], [0.02, 0.042, nan], [0.02, nan, nan]])
    found = ratio(raced, 1, 0)
    assert found is not None
    assert found.blocks == 2
    assert ratio(raced, 2, 0) is None
    assert list(compare(raced, [(1, 0), (2, 0)])) == [(1, 0)]


def test_copies_of_a_row_are_paired_with_each_other_alone() -> None:
    """Two rows entered three times each make six pairs of equals."""
    entrants = tuple(make_entrant(name) for name in "aaabbb")
    raced = times(equal_entrants(np.random.default_rng(0), 3, 6))
    raced = replace(raced, entrants=entrants)
    assert len(pairs_of_copies(raced)) == 6
