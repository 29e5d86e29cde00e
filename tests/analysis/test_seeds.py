"""The spread over seeds is shared by rows that are alike, and by no others."""

from __future__ import annotations

import pytest

from harness.analysis.seeds import SeedVariance, seed_variances


def _found(*maps: list[float]) -> list[SeedVariance]:
    return [one for one in seed_variances(maps) if one is not None]


def test_similar_rows_share_one_variance() -> None:
    """Weighted by their degrees of freedom: 0.0002 with one and 0.0001 with two give 0.0004 / 3 with three."""
    shared = _found([0.50, 0.52], [0.40, 0.41, 0.42], [0.45])
    assert [one.variance for one in shared] == pytest.approx([0.0004 / 3] * 3)
    assert {one.degrees for one in shared} == {3}


def test_what_does_not_learn_has_no_say() -> None:
    """A row of less than half the mAP shares with its own like alone."""
    learned, hopeless = _found([0.50, 0.52], [0.01, 0.01])
    assert (learned.variance, learned.degrees) == pytest.approx((0.0002, 1))
    assert (hopeless.variance, hopeless.degrees) == (0.0, 1)


def test_a_row_that_spreads_more_keeps_its_own() -> None:
    """Beyond chance; its large spread does not hide what the others differ by."""
    calm = [[0.500, 0.502, 0.501], [0.490, 0.491, 0.492], [0.480, 0.481, 0.479]]
    *_, wild = _found(*calm, [0.40, 0.50, 0.60])
    assert (wild.variance, wild.degrees) == pytest.approx((0.01, 2))


def test_ten_seeds_need_no_others() -> None:
    """A row with ten seeds knows its own spread."""
    ten = [0.5 + 0.001 * number for number in range(10)]
    assert _found(ten, [0.5, 0.6])[0].degrees == 9


def test_one_seed_each_says_nothing() -> None:
    """There is no variance over seeds."""
    assert seed_variances([[0.5], [0.4]]) == (None, None)
