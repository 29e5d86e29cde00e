"""One error holds chance over images and over seeds, each once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.accuracy import Accuracies, SeedAnalyses, analysable
from tests.analysis.worlds import made_analysis, made_suite

_G = 100


def _row(name: str, *seeds: tuple[float, np.ndarray]) -> SeedAnalyses:
    analyses = tuple(made_analysis(value, value + noise) for value, noise in seeds)
    return SeedAnalyses(trial_ids=tuple(f"{name}{number}" for number in range(len(seeds))), analyses=analyses)


def _noise(rng: np.random.Generator, std: float) -> np.ndarray:
    """Return replicates whose jackknife standard error is about `std`."""
    return rng.normal(0, std / math.sqrt(_G), _G)


def test_what_is_hard_for_both_cancels() -> None:
    """Detectors that images move alike are separated; if images move them independently, they are not."""
    rng = np.random.default_rng(0)
    luck, other = _noise(rng, 0.05), _noise(rng, 0.05)
    paired = Accuracies([_row("a", (0.52, luck)), _row("b", (0.50, luck + _noise(rng, 0.002)))]).difference(0, 1)
    alone = Accuracies([_row("a", (0.52, luck)), _row("b", (0.50, other))]).difference(0, 1)
    assert paired.value == pytest.approx(0.02)
    assert 0 < paired.low < 0.02 < paired.high
    assert paired.p < 1e-6
    assert alone.low < 0 < alone.high
    assert alone.p > 0.5


def test_seeds_widen_the_error_of_a_difference() -> None:
    """The same mean difference is separated where the seeds agree, and not where they scatter."""
    rng = np.random.default_rng(0)
    noise = [_noise(rng, 0.003) for _ in range(6)]

    def compared(scatter: float) -> float:
        shifts = (-scatter, 0.0, scatter)
        rows = [
            _row(name, *((value + shift, noise[start + n]) for n, shift in enumerate(shifts)))
            for name, value, start in (("a", 0.53, 0), ("b", 0.50, 3))
        ]
        return Accuracies(rows).difference(0, 1).p

    assert compared(0.003) < 0.01
    assert compared(0.05) > 0.3


def test_one_seed_each_is_about_these_weights() -> None:
    """No variance over seeds is known, and none is invented."""
    rng = np.random.default_rng(0)
    difference = Accuracies([_row("a", (0.6, _noise(rng, 0.01))), _row("b", (0.5, _noise(rng, 0.01)))]).difference(0, 1)
    assert difference.error.seeds is None
    assert difference.error.degrees == _G - 1


def test_a_single_seed_borrows_the_spread_of_similar_rows() -> None:
    """Beside rows of three seeds, a row of one has their variance, undivided."""
    rng = np.random.default_rng(0)
    three = made_suite(rng, [0.4, 0.41], seeds=3, seed_std=0.03)
    one = made_suite(rng, [0.42], seeds=1, seed_std=0.03)[0]
    accuracies = Accuracies([*three, SeedAnalyses(trial_ids=("alone",), analyses=one.analyses)])
    mixed, between = accuracies.difference(2, 0).error, accuracies.difference(0, 1).error
    assert mixed.seeds is not None
    assert between.seeds is not None
    assert mixed.seeds == pytest.approx(between.seeds * 2)  # s² + s²/3 against 2 s²/3


def test_chance_that_images_and_seeds_share_counts_once() -> None:
    """Over many suites, the mean squared error equals the variance of the difference, whatever its parts."""
    rng = np.random.default_rng(1)
    for seed_std in (0.0, 0.03):
        squared = [
            Accuracies(made_suite(rng, [0.4, 0.4], seeds=3, seed_std=seed_std)).difference(0, 1).error.standard ** 2
            for _ in range(300)
        ]
        truth = 2 * (0.15**2 / 100 + (seed_std**2 + 0.2**2 / 100) / 3)
        assert np.mean(squared) == pytest.approx(truth, rel=0.1)


def test_deployments_of_the_same_weights_are_paired_seed_by_seed() -> None:
    """A variant that loses 0.01 for every seed is separated, although the seeds scatter by more."""
    rng = np.random.default_rng(0)
    seeds = [(value, _noise(rng, 0.01)) for value in (0.4, 0.5, 0.6)]
    trained = _row("a", *seeds)
    variant = _row("a", *((value - 0.01 + 1e-4 * n, noise) for n, (value, noise) in enumerate(seeds)))
    other = _row("b", *((value - 0.01, noise) for value, noise in seeds))
    assert Accuracies([trained, variant]).difference(0, 1).p < 0.001
    assert Accuracies([trained, other]).difference(0, 1).p > 0.5


def test_a_detector_against_itself_is_not_separated() -> None:
    """The difference is 0 and its p-value is 1, for one seed and in another order of several."""
    rng = np.random.default_rng(0)
    seeds = [(value, _noise(rng, 0.05)) for value in (0.1, 0.2, 0.3)]
    same = Accuracies([_row("a", seeds[0]), _row("b", seeds[0])]).difference(0, 1)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert Accuracies([_row("a", *seeds), _row("b", *seeds[::-1])]).difference(0, 1).p == 1


def test_the_smallest_difference_is_found_with_80_percent() -> None:
    """Drawn with exactly this difference, four of five pairs are separated."""
    rng = np.random.default_rng(2)
    equal = [made_suite(rng, [0.4, 0.4], seeds=5, seed_std=0.02) for _ in range(50)]
    size = float(np.mean([Accuracies(suite).difference(0, 1).error.detectable for suite in equal]))
    found = [
        Accuracies(made_suite(rng, [0.4 + size, 0.4], seeds=5, seed_std=0.02)).difference(0, 1).p < 0.05
        for _ in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_nothing_can_be_said_of_one_image_or_of_different_labels() -> None:
    """Leaving the only image with boxes out leaves no mAP."""
    rng = np.random.default_rng(0)
    whole = made_analysis(0.5, 0.5 + _noise(rng, 0.01))
    assert analysable([whole])
    assert not analysable([])
    assert not analysable([made_analysis(0.5, np.array([0.5, np.nan]))])
    assert not analysable([made_analysis(0.5, np.array([0.5]))])
    assert not analysable([whole, made_analysis(0.5, 0.5 + _noise(rng, 0.01), on="y")])
