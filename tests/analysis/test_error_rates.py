"""How often equal detectors are called different, and how often different ones are not: by simulated suites."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from harness.analysis import ranking
from harness.analysis.accuracy import Accuracies
from tests.analysis.worlds import made_suite, p_values

log = logging.getLogger(__name__)  # pytest --log-cli-level=INFO shows the rates

_SPREADS = [(1, 0.0), (2, 0.0), (2, 0.02), (2, 0.05), (3, 0.02), (3, 0.05), (5, 0.02), (5, 0.05)]  # seeds, std of seeds


def _false_verdicts(rows: int, seeds: int, seed_std: float, suites: int) -> float:
    """Return the fraction of suites of equal detectors in which any two are separated."""
    rng = np.random.default_rng((rows, seeds, int(seed_std * 1000)))
    wrong = 0
    for _ in range(suites):
        adjusted = ranking.adjust(*p_values(made_suite(rng, [0.4] * rows, seeds=seeds, seed_std=seed_std)))
        wrong += bool((adjusted < 0.05).any())
    return wrong / suites


@pytest.mark.parametrize(("seeds", "seed_std"), [(1, 0.0), (2, 0.05), (3, 0.02)])
def test_equal_detectors_are_rarely_separated(seeds: int, seed_std: float) -> None:
    """In at most 6 % of suites of three; with 400 suites, chance adds up to 3 %."""
    assert _false_verdicts(3, seeds, seed_std, 400) <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "seed_std"), _SPREADS)
@pytest.mark.parametrize(("rows", "suites"), [(2, 6000), (3, 3000), (6, 1000), (20, 500)])
def test_family_wise_false_verdicts_are_at_most_6_percent(rows: int, suites: int, seeds: int, seed_std: float) -> None:
    """Of suites of 2 to 20 equal detectors at 1, 2, 3 and 5 seeds; two standard errors of chance are allowed for."""
    rate = _false_verdicts(rows, seeds, seed_std, suites)
    log.info("%d equal detectors, %d seeds, std %g: false verdicts in %.3f of %d", rows, seeds, seed_std, rate, suites)
    assert rate <= 0.06 + 2 * math.sqrt(0.06 * 0.94 / suites)


def _power(rows: int, seeds: int, seed_std: float, suites: int) -> tuple[float, float]:
    """Return how often a difference is found, by this test and by one that knows all variances (80 % by design)."""
    rng = np.random.default_rng((rows, seeds, int(seed_std * 1000)))
    error = math.sqrt(2 * (0.15**2 / 100 + seed_std**2 / seeds + 0.2**2 / 100 / seeds))
    found, known = 0, 0
    for _ in range(suites):
        suite = made_suite(rng, [0.4 + 2.8016 * error, *([0.4] * (rows - 1))], seeds=seeds, seed_std=seed_std)
        names = [row.trial_ids[0].split(".")[0] for row in suite]
        difference = Accuracies(suite).difference(names.index("0"), names.index("1"))
        found += difference.p < 0.05
        known += abs(difference.value) > 1.96 * error
    return found / suites, known / suites


@pytest.mark.slow
@pytest.mark.parametrize("seed_std", [0.0, 0.02, 0.05])
@pytest.mark.parametrize(
    ("rows", "seeds", "loss"), [(2, 1, 0.1), (2, 3, 0.25), (2, 5, 0.1), (4, 3, 0.13), (8, 2, 0.13)]
)
def test_power_is_near_that_of_a_test_that_knows_the_variances(
    rows: int, seeds: int, loss: float, seed_std: float
) -> None:
    """Within 10 %, but for few degrees of freedom: with 8 a t-test that spends all on seeds loses 12 %, with 4 23 %."""
    found, known = _power(rows, seeds, seed_std if seeds > 1 else 0.0, 3000)
    log.info("%d rows, %d seeds, std %g: power %.3f, with variances known %.3f", rows, seeds, seed_std, found, known)
    assert found >= (1 - loss) * known - 2 * math.sqrt(0.25 / 3000)


def test_hopeless_rows_change_no_letter() -> None:
    """The same 20 entrants have the same letters and verdicts alone and with 20 detectors that find nothing."""
    rng = np.random.default_rng(3)
    for spread in (0.02, 0.05):
        entrants = made_suite(rng, list(rng.normal(0.4, spread, 20)), seeds=3, seed_std=0.01)
        hopeless = made_suite(rng, [0.02] * 20, seeds=3, seed_std=0.001, image_std=0.01, noise_std=0.01)
        alone = ranking.adjust(*p_values(entrants))
        joined = ranking.adjust(*p_values([*entrants, *hopeless]))
        assert ranking.letters(joined)[:20] == ranking.letters(alone)
        assert joined[:20, :20] == pytest.approx(alone, abs=1e-12)  # sums of 40 rows are ordered by the processor


def test_a_verdict_alone_stays_one_among_hopeless_rows() -> None:
    """P = 0.0014 between two detectors is a verdict, whatever else was tried and failed."""
    p = np.full((22, 22), 0.6)
    p[:2, 2:] = p[2:, :2] = 1e-9
    p[0, 1] = p[1, 0] = 0.0014
    adjusted = ranking.adjust(p, [0.50, 0.48, *([0.3] * 20)])
    assert adjusted[0, 1] == pytest.approx(0.0014)
    assert ranking.ranks(adjusted)[:3] == ((1, 1), (2, 2), (3, 22))
