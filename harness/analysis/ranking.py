"""Ranks as ranges, and letters: which rows of one table are separated from which, corrected for all pairs it shows.

Rows are numbered from the most accurate on. Where every row above a gap is clearly apart from every row below it, the
rows above are a field of their own: how many rows are far behind does not change what is said of those in front.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.statistics import LEVEL, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CLEAR = 0.001  # p-value of each pair across a gap
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def adjust(p: NDArray[np.float64], values: Sequence[float]) -> NDArray[np.float64]:
    """Adjust the p-values of all pairs: by Holm's correction for the pairs of each field, from the best field on.

    A later field is corrected for all pairs of the rows down to its end. So false verdicts in several fields of equal
    rows add up to less than 1.65 times the level (the sum of 1/f²), and to the level itself if all rows are equal. A
    pair across a gap keeps its p-value: the gap itself says that it is far below the level.

    Args:
        p: float64 [N, N], the symmetric p-values of each pair alone.
        values: the accuracy of each row, the highest first.

    Returns:
        float64 [N, N], symmetric; the diagonal is 1.
    """
    adjusted = p.copy()
    np.fill_diagonal(adjusted, 1.0)
    for start, end in _fields(p, values):
        first, second = (numbers + start for numbers in np.triu_indices(end - start, 1))
        if not len(first):
            continue
        factor = end * (end - 1) / 2 / len(first)
        corrected = np.minimum(1.0, np.array(holm(p[first, second].tolist())) * factor)
        adjusted[first, second] = adjusted[second, first] = corrected
    return adjusted


def _fields(p: NDArray[np.float64], values: Sequence[float]) -> list[tuple[int, int]]:
    """Return the fields as (first row, end): what lies between two gaps.

    Across a gap every p-value is below 0.001; below 0.05 is enough where no row below has half the accuracy of those
    above.
    """
    count = len(p)
    gaps = []
    for place in range(1, count):
        across = p[:place, place:].max()
        hopeless = values[place] < values[place - 1] / 2
        if across < (1 - LEVEL if hopeless else _CLEAR):
            gaps.append(place)
    return list(itertools.pairwise((0, *gaps, count)))


def ranks(adjusted: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Return the best and the worst rank that each row can have: those surely better and worse leave it the others."""
    separated = adjusted < 1 - LEVEL
    return tuple(
        (1 + int(separated[row, :row].sum()), len(adjusted) - int(separated[row, row + 1 :].sum()))
        for row in range(len(adjusted))
    )


def letters(adjusted: NDArray[np.float64]) -> tuple[str, ...]:
    """Give rows letters, so that two rows share one exactly where they are not separated: `a`, `ab`, `b`.

    This is the compact letter display by insertion and absorption (Piepho, Journal of Computational and Graphical
    Statistics 13, 2004). Empty texts if 26 letters are not enough.
    """
    separated = adjusted < 1 - LEVEL
    groups = [frozenset(range(len(adjusted)))]
    for first, second in zip(*np.nonzero(np.triu(separated)), strict=True):
        split: list[frozenset[int]] = []
        for group in groups:
            split += [group - {first}, group - {second}] if first in group and second in group else [group]
        groups = [group for group in dict.fromkeys(split) if not any(group < other for other in split)]
        if len(groups) > 4 * len(_LETTERS):
            return ("",) * len(adjusted)
    if len(groups) > len(_LETTERS):
        return ("",) * len(adjusted)
    ordered = sorted(groups, key=sorted)
    return tuple(
        "".join(letter for letter, group in zip(_LETTERS, ordered, strict=False) if row in group)
        for row in range(len(adjusted))
    )
