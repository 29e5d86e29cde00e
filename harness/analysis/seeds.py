"""How much training again with another seed changes a row's mAP: the variance over seeds, shared by similar rows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import variance
from typing import TYPE_CHECKING

from scipy.special import fdtr

if TYPE_CHECKING:
    from collections.abc import Sequence

ENOUGH = 10  # seeds: with so many of its own, a row needs no other rows' spread
_NEAR = 2.0  # rows share their variance where neither has more than this many times the other's mAP
_OTHER = 0.01  # p-value below which a row's own spread is called larger than that of the rows near it


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedVariance:
    """The variance of a single training's mAP over seeds, and the degrees of freedom of this estimate.

    Attributes:
        variance: of the mAP of one seed.
        degrees: how many degrees of freedom it has.
        pool: the rows whose seeds it comes from.
    """

    variance: float
    degrees: int
    pool: tuple[int, ...]


def seed_variances(maps: Sequence[Sequence[float]]) -> tuple[SeedVariance | None, ...]:
    """Return each row's variance over seeds; None where neither it nor a row near it has two seeds.

    Few seeds say little about their own spread, so rows of similar mAP share one estimate, weighted by their degrees of
    freedom. A row keeps its own if it has ten seeds, or if its spread is larger than that of the others beyond chance
    (an F-test at 1 %). Rows of less than half or more than twice a row's mAP have no say: what does not learn does not
    vary either.

    Args:
        maps: the mAP of each seed of each row.
    """
    means = [sum(row) / len(row) for row in maps]
    own = {number: variance(row) for number, row in enumerate(maps) if len(row) > 1}
    return tuple(_variance_of(number, maps, means, own) for number in range(len(maps)))


def _variance_of(
    number: int, maps: Sequence[Sequence[float]], means: Sequence[float], own: dict[int, float]
) -> SeedVariance | None:
    if number in own and (len(maps[number]) >= ENOUGH or _spreads_more(number, maps, means, own)):
        return SeedVariance(variance=own[number], degrees=len(maps[number]) - 1, pool=(number,))
    return _shared(_near(number, means, own), maps, own)


def _near(number: int, means: Sequence[float], own: dict[int, float]) -> tuple[int, ...]:
    """Return the rows with a variance whose mAP is within a factor of two."""
    mean = means[number]
    return tuple(other for other in own if mean / _NEAR <= means[other] <= mean * _NEAR)


def _shared(rows: Sequence[int], maps: Sequence[Sequence[float]], own: dict[int, float]) -> SeedVariance | None:
    degrees = sum(len(maps[row]) - 1 for row in rows)
    if not degrees:
        return None
    total = sum(own[row] * (len(maps[row]) - 1) for row in rows)
    return SeedVariance(variance=total / degrees, degrees=degrees, pool=tuple(rows))


def _spreads_more(number: int, maps: Sequence[Sequence[float]], means: Sequence[float], own: dict[int, float]) -> bool:
    others = _shared([row for row in _near(number, means, own) if row != number], maps, own)
    if others is None or others.variance == 0:
        return False
    return 1 - float(fdtr(len(maps[number]) - 1, others.degrees, own[number] / others.variance)) < _OTHER
