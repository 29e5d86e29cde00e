"""Ranks and letters say which rows are separated, no more and no less."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.analysis import ranking


def _matrix(count: int, separated: dict[tuple[int, int], float]) -> np.ndarray:
    p = np.ones((count, count))
    for (first, second), value in separated.items():
        p[first, second] = p[second, first] = value
    return p


def test_letters_are_shared_exactly_by_rows_that_are_not_separated() -> None:
    """For 200 random patterns, transitive or not."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 9))
        pairs = [pair for pair in itertools.combinations(range(count), 2) if rng.random() < 0.4]
        p = _matrix(count, dict.fromkeys(pairs, 0.001))
        letters = ranking.letters(p)
        for first, second in itertools.combinations(range(count), 2):
            assert bool(set(letters[first]) & set(letters[second])) == (p[first, second] >= 0.05)
        assert all(letters)


def test_a_row_between_two_others_has_the_letters_of_both() -> None:
    """The best and the worst are separated, the middle one from neither."""
    p = _matrix(3, {(0, 2): 0.01})
    assert ranking.letters(p) == ("a", "ab", "b")
    assert ranking.ranks(p) == ((1, 2), (1, 3), (2, 3))


def test_more_groups_than_letters_have_none() -> None:
    """Rather than letters that a reader has to look up."""
    p = _matrix(40, dict.fromkeys(itertools.combinations(range(40), 2), 1e-9))
    assert set(ranking.letters(p)) == {""}


def test_all_pairs_of_a_field_are_corrected_for_together() -> None:
    """Three pairs: Holm's factors are 3, 2 and 1."""
    p = _matrix(3, {(0, 2): 0.012, (0, 1): 0.03, (1, 2): 0.4})
    adjusted = ranking.adjust(p, [0.5, 0.49, 0.48])
    assert adjusted[0, 2] == pytest.approx(0.036)
    assert adjusted[0, 1] == pytest.approx(0.06)
    assert adjusted[1, 2] == pytest.approx(0.4)


def test_a_field_behind_a_gap_pays_for_the_rows_above_it() -> None:
    """So that many fields of equal rows have together no more false verdicts than one may have."""
    p = _matrix(4, {(0, 1): 0.02, (2, 3): 0.02, **dict.fromkeys(itertools.product((0, 1), (2, 3)), 1e-6)})
    adjusted = ranking.adjust(p, [0.5, 0.49, 0.4, 0.39])
    assert adjusted[0, 1] == pytest.approx(0.02)
    assert adjusted[2, 3] == pytest.approx(0.12)  # 6 pairs of 4 rows


def test_one_row_and_none() -> None:
    """A single row has rank 1 and the letter a."""
    assert ranking.ranks(np.ones((1, 1))) == ((1, 1),)
    assert ranking.letters(np.ones((1, 1))) == ("a",)
    assert ranking.ranks(ranking.adjust(np.ones((0, 0)), [])) == ()
