"""Differences are judged by a paired bootstrap, adjusted for the number of pairs, and ties are grouped."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from harness.analysis import significance
from harness.analysis.detections.analyse import DetectionAnalysis, analyse_detections
from harness.store.record import AS_TRAINED
from tests.report.made import detections, drawn_detections, drawn_labels, labels

_BLANK = analyse_detections(labels(*[[(0, (0.0, 0.0, 10.0, 10.0))]] * 2), detections(), min_score=0.05)


def _analysis(value: float, noise: np.ndarray | None = None, *, on: str = "x") -> DetectionAnalysis:
    noise = np.zeros(1000) if noise is None else noise
    return dataclasses.replace(_BLANK, map=value, replicates=value + noise, ground_truth_fingerprint=on)


def _rows(*values: float) -> pd.DataFrame:
    rows = [{"trial_ids": (str(number),), "variant": AS_TRAINED, "map": value} for number, value in enumerate(values)]
    return pd.DataFrame(rows)


def test_holm_adjusts_as_published() -> None:
    """The smallest of n p-values is multiplied by n, the next by n − 1; results never fall and never exceed 1."""
    assert list(significance.holm([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([0.9, 0.8]) == (1.0, 1.0)
    assert significance.holm([]) == ()


def test_what_is_hard_for_both_cancels() -> None:
    """Detectors that drawn images move alike differ with certainty; if they move independently, they do not."""
    rng = np.random.default_rng(0)
    luck, other = rng.normal(0, 0.05, (2, 1000))
    paired = significance.map_difference([_analysis(0.52, luck)], [_analysis(0.50, luck + rng.normal(0, 0.002, 1000))])
    alone = significance.map_difference([_analysis(0.52, luck)], [_analysis(0.50, other)])
    assert paired.value == pytest.approx(0.02)
    assert 0 < paired.low < 0.02 < paired.high
    assert paired.p < 1e-6
    assert alone.low < 0 < alone.high
    assert alone.p > 0.5


def test_a_detector_against_itself_is_a_tie() -> None:
    """The difference is 0 and its p-value is 1."""
    luck = np.random.default_rng(0).normal(0, 0.05, 1000)
    same = significance.map_difference([_analysis(0.5, luck)], [_analysis(0.5, luck)])
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_seeds_are_averaged_on_the_same_draws() -> None:
    """The interval is that of the mean; the spread over seeds does not widen it."""
    luck = np.random.default_rng(0).normal(0, 0.01, 1000)
    single = significance.map_interval([_analysis(0.5, luck)])
    three = significance.map_interval([_analysis(value, luck) for value in (0.3, 0.5, 0.7)])
    assert three.value == pytest.approx(0.5)
    assert three.high - three.low == pytest.approx(single.high - single.low)


def test_ties_are_grouped_under_the_best_of_them() -> None:
    """Two rows whose difference may be chance share a group; the third one, far behind, starts the next."""
    rng = np.random.default_rng(0)
    values = (0.50, 0.499, 0.30)
    analyses = {(str(i), AS_TRAINED): _analysis(v, rng.normal(0, 0.01, 1000)) for i, v in enumerate(values)}
    result = significance.compare_all(_rows(*values), analyses)
    assert result.groups == {0: 1, 1: 1, 2: 2}
    assert [pair.tie for pair in result.pairs] == [True, False, False]
    swapped = result.pair(2, 0)
    assert swapped is not None
    assert swapped.difference.value == pytest.approx(-0.2)
    assert swapped.difference.low < swapped.difference.value < swapped.difference.high < 0


def test_many_pairs_need_more_than_one_pair_does() -> None:
    """A difference with p = 0.03 is real as the only pair, and a tie among 66 pairs."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (12, 1000))
    values = [0.5, 0.5 - 2.17 * float(np.std(noise[0] - noise[1], ddof=1)) * 0.01, *([0.5] * 10)]
    analyses = {(str(i), AS_TRAINED): _analysis(v, 0.01 * noise[i]) for i, v in enumerate(values)}
    two = significance.compare_all(_rows(*values[:2]), analyses)
    twelve = significance.compare_all(_rows(*values), analyses)
    assert two.pairs[0].adjusted_p == pytest.approx(0.03, abs=0.001)
    assert not two.pairs[0].tie
    assert len(twelve.pairs) == 66
    assert twelve.pairs[0].tie


def test_only_equal_labels_are_paired_and_only_whole_rows() -> None:
    """Rows on other images are not paired; a row without an analysis of every seed has no interval."""
    analyses = {("0", AS_TRAINED): _analysis(0.5), ("1", AS_TRAINED): _analysis(0.4, on="y")}
    result = significance.compare_all(_rows(0.5, 0.4, 0.3), analyses)
    assert not result.pairs
    assert set(result.intervals) == {0, 1}
    assert result.groups == {0: 1}  # the other was never compared with it


def test_one_image_is_nothing_to_draw_from() -> None:
    """Every draw would be the same image, so there is no interval and no verdict."""
    single = analyse_detections(
        labels([(0, (0.0, 0.0, 10.0, 10.0))], []), detections((0, 0, 0.9, (0.0, 0.0, 10.0, 10.0))), min_score=0.05
    )
    result = significance.compare_all(_rows(1.0), {("0", AS_TRAINED): single})
    assert not result.intervals


def test_the_order_of_seeds_makes_no_difference() -> None:
    """Means of the same numbers in another order may differ in the last bit, which is a tie."""
    rng = np.random.default_rng(0)
    seeds = [_analysis(value, rng.normal(0, 0.01, 1000)) for value in (0.1, 0.2, 0.3)]
    assert significance.map_difference(seeds, seeds[::-1]).p == 1


def test_a_real_detector_has_an_interval_around_its_map() -> None:
    """From detections to an interval that contains the mAP and is wider than a point."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=60)
    interval = significance.map_interval([analyse_detections(truth, drawn_detections(rng, truth), min_score=0.05)])
    assert interval.low < interval.value < interval.high
    assert interval.high - interval.low > 0.02
