"""Differences are called by a paired bootstrap, for many pairs at once, and ties are grouped."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from harness.analysis import significance
from harness.analysis.detections.analyse import DetectionAnalysis, analyse_detections
from harness.store.record import AS_TRAINED
from tests.report.made import detections, drawn_detections, drawn_labels, labels

_BLANK = analyse_detections(labels(*[[(0, (0.0, 0.0, 10.0, 10.0))]] * 2), detections(), deployed=0.05)


def _evidence(value: float, noise: np.ndarray | None = None, *, on: str = "x") -> DetectionAnalysis:
    noise = np.zeros(1000) if noise is None else noise
    return dataclasses.replace(_BLANK, map=value, replicates=value + noise, labels=on)


def _rows(*values: float) -> pd.DataFrame:
    rows = [{"trial_ids": (str(number),), "variant": AS_TRAINED, "map": value} for number, value in enumerate(values)]
    return pd.DataFrame(rows)


def test_holm_adjusts_as_published() -> None:
    """The smallest of n times n, the next times n − 1, never falling, never above 1."""
    assert list(significance.holm([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([0.9, 0.8]) == (1.0, 1.0)
    assert significance.holm([]) == ()


def test_what_is_hard_for_both_cancels() -> None:
    """Two detectors with the same luck of the draw differ surely; with luck of their own they do not."""
    rng = np.random.default_rng(0)
    luck, other = rng.normal(0, 0.05, (2, 1000))
    paired = significance.difference([_evidence(0.52, luck)], [_evidence(0.50, luck + rng.normal(0, 0.002, 1000))])
    alone = significance.difference([_evidence(0.52, luck)], [_evidence(0.50, other)])
    assert paired.value == pytest.approx(0.02)
    assert 0 < paired.low < 0.02 < paired.high
    assert paired.p < 1e-6
    assert alone.low < 0 < alone.high
    assert alone.p > 0.5


def test_a_detector_against_itself_is_a_tie() -> None:
    """No difference, no doubt."""
    luck = np.random.default_rng(0).normal(0, 0.05, 1000)
    same = significance.difference([_evidence(0.5, luck)], [_evidence(0.5, luck)])
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_seeds_are_averaged_on_the_same_draws() -> None:
    """The interval is of the mean, and says nothing of what seeds differ by."""
    luck = np.random.default_rng(0).normal(0, 0.01, 1000)
    one = significance.interval([_evidence(0.5, luck)])
    three = significance.interval([_evidence(value, luck) for value in (0.3, 0.5, 0.7)])
    assert three.value == pytest.approx(0.5)
    assert three.high - three.low == pytest.approx(one.high - one.low)


def test_ties_are_grouped_under_the_best_of_them() -> None:
    """Two that chance may have parted share a group; the third, far behind, heads the next."""
    rng = np.random.default_rng(0)
    values = (0.50, 0.499, 0.30)
    analyses = {(str(i), AS_TRAINED): _evidence(v, rng.normal(0, 0.01, 1000)) for i, v in enumerate(values)}
    judged = significance.compare_all(_rows(*values), analyses)
    assert judged.groups == {0: 1, 1: 1, 2: 2}
    assert [pair.tie for pair in judged.pairs] == [True, False, False]
    turned = judged.pair(2, 0)
    assert turned is not None
    assert turned.difference.value == pytest.approx(-0.2)
    assert turned.difference.low < turned.difference.value < turned.difference.high < 0


def test_many_pairs_need_more_than_one_pair_does() -> None:
    """A difference with p 0.03 is one alone, and a tie among 66."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (12, 1000))
    values = [0.5, 0.5 - 2.17 * float(np.std(noise[0] - noise[1], ddof=1)) * 0.01, *([0.5] * 10)]
    analyses = {(str(i), AS_TRAINED): _evidence(v, 0.01 * noise[i]) for i, v in enumerate(values)}
    two = significance.compare_all(_rows(*values[:2]), analyses)
    twelve = significance.compare_all(_rows(*values), analyses)
    assert two.pairs[0].adjusted_p == pytest.approx(0.03, abs=0.001)
    assert not two.pairs[0].tie
    assert len(twelve.pairs) == 66
    assert twelve.pairs[0].tie


def test_only_equal_labels_are_paired_and_only_whole_rows() -> None:
    """Other images are no pair; a row with a seed that left nothing has no interval."""
    analyses = {("0", AS_TRAINED): _evidence(0.5), ("1", AS_TRAINED): _evidence(0.4, on="y")}
    judged = significance.compare_all(_rows(0.5, 0.4, 0.3), analyses)
    assert not judged.pairs
    assert set(judged.intervals) == {0, 1}
    assert judged.groups == {0: 1}  # the other was never compared with it


def test_one_image_is_nothing_to_draw_from() -> None:
    """Every draw would be the same image: no interval, no verdict, rather than certainty."""
    one = analyse_detections(
        labels([(0, (0.0, 0.0, 10.0, 10.0))], []), detections((0, 0, 0.9, (0.0, 0.0, 10.0, 10.0))), deployed=0.05
    )
    judged = significance.compare_all(_rows(1.0), {("0", AS_TRAINED): one})
    assert not judged.intervals


def test_the_order_of_seeds_makes_no_difference() -> None:
    """Means of the same numbers in another order differ in their last bit: that is a tie."""
    rng = np.random.default_rng(0)
    seeds = [_evidence(value, rng.normal(0, 0.01, 1000)) for value in (0.1, 0.2, 0.3)]
    assert significance.difference(seeds, seeds[::-1]).p == 1


def test_a_real_detector_has_an_interval_around_its_map() -> None:
    """From detections to limits, in order, and not a point."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=60)
    found = significance.interval([analyse_detections(truth, drawn_detections(rng, truth), deployed=0.05)])
    assert found.low < found.value < found.high
    assert found.high - found.low > 0.02
