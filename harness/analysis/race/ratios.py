"""How many times as long one detector takes as another, from the blocks of a race, and whether that can be chance.

In each block both ran in fresh processes, in random order, so the logarithm of their ratio in that block is one
observation; over blocks these are independent, and what slows a whole block cancels. Their mean has a t interval with
one degree of freedom less than blocks (Student, Biometrika 6, 1908). Timings within one process are not independent
observations of a detector's speed: processes of the same program differ by more.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.analysis import student
from harness.analysis.statistics import LEVEL, Interval, corrected_level, holm
from harness.store.race import MIN_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from harness.analysis.race.read import RaceTimes

Word = Literal["faster", "slower", "not separated"]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRatio(Interval):
    """How many times as long the first takes as the second, with its 95 % interval over blocks.

    Attributes:
        p: two-sided, of equal speeds.
        blocks: how many blocks both ran in.
    """

    p: float
    blocks: int

    def inverse(self) -> SpeedRatio:
        """Return how many times as long the second takes as the first."""
        return SpeedRatio(value=1 / self.value, low=1 / self.high, high=1 / self.low, p=self.p, blocks=self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedVerdict:
    """What may be said of the first of a pair against the second.

    Attributes:
        word: faster or slower only where the adjusted p-value is below 0.05.
        ratio: how many times as long the first takes, for this pair alone.
        adjusted_p: the p-value, adjusted for all pairs that were compared together.
    """

    word: Word
    ratio: SpeedRatio
    adjusted_p: float

    def turned(self) -> SpeedVerdict:
        """Return the same of the second of the pair against the first."""
        words: dict[Word, Word] = {"faster": "slower", "slower": "faster", "not separated": "not separated"}
        return replace(self, word=words[self.word], ratio=self.ratio.inverse())

    @property
    def interval(self) -> SpeedRatio:
        """The ratio with its 95 % interval, corrected as the verdict is."""
        degrees = self.ratio.blocks - 1
        level = corrected_level(self.ratio.p, self.adjusted_p)
        factor = student.quantile(level, degrees) / student.quantile(LEVEL, degrees)
        half_width = math.log(self.ratio.high / self.ratio.low) / 2 * factor
        ends = self.ratio.value * math.exp(-half_width), self.ratio.value * math.exp(half_width)
        return replace(self.ratio, low=ends[0], high=ends[1])


def ratio(times: RaceTimes, first: int, second: int) -> SpeedRatio | None:
    """Return how many times as long the first entrant takes as the second; None with fewer than two common blocks.

    Args:
        first: an entrant's index, from 0.
        second: another one's.
    """
    return ratio_of(times.seconds[:, first], times.seconds[:, second])


def ratio_of(first: NDArray[np.float64], second: NDArray[np.float64]) -> SpeedRatio | None:
    """Return the same from the latencies of two entrants, float64 [blocks] each, NaN where one did not run."""
    logs = np.log(first / second)
    logs = logs[~np.isnan(logs)]
    count = len(logs)
    if count < MIN_BLOCKS:
        return None
    mean, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(count)
    half_width = student.quantile(LEVEL, count - 1) * error
    return SpeedRatio(
        value=math.exp(mean),
        low=math.exp(mean - half_width),
        high=math.exp(mean + half_width),
        p=student.p_value(mean, error, count - 1),
        blocks=count,
    )


def latency_of(times: RaceTimes, entrant: int) -> Interval | None:
    """Return an entrant's latency in seconds, the geometric mean over blocks, with its 95 % interval over blocks.

    None with fewer than two blocks.

    Args:
        entrant: its index, from 0.
    """
    seconds = times.seconds[:, entrant]
    return ratio_of(seconds, np.ones(len(seconds)))


def compare(times: RaceTimes, pairs: Iterable[Pair]) -> dict[Pair, SpeedVerdict]:
    """Return the verdict on each pair, corrected for all of them together (Holm).

    The pairs must be chosen without looking at the race: the fastest of many equals against each other one would be
    called faster too often.

    Args:
        pairs: indices of entrants, from 0; one without two common blocks is left out.
    """
    ratios = {pair: found for pair in pairs if (found := ratio(times, *pair)) is not None}
    adjusted = holm([found.p for found in ratios.values()])
    return {
        pair: SpeedVerdict(word=_word(found, p), ratio=found, adjusted_p=p)
        for (pair, found), p in zip(ratios.items(), adjusted, strict=True)
    }


def compare_all(times: RaceTimes) -> dict[Pair, SpeedVerdict]:
    """Return the verdict on every two entrants, each way round, corrected for all of them together.

    Fewer pairs would need less correction, but which ones a page shows depends on who was fast in the race.
    """
    found = compare(times, itertools.combinations(range(len(times.entrants)), 2))
    return found | {(second, first): verdict.turned() for (first, second), verdict in found.items()}


def pairs_of_copies(times: RaceTimes) -> tuple[SpeedRatio, ...]:
    """Return the ratio of every two entrants that are copies of one row, uncorrected."""
    indices = itertools.combinations(range(len(times.entrants)), 2)
    pairs = [pair for pair in indices if _row(times, pair[0]) == _row(times, pair[1])]
    return tuple(found for pair in pairs if (found := ratio(times, *pair)) is not None)


def _row(times: RaceTimes, index: int) -> tuple[str, str]:
    return times.entrants[index].configuration, times.entrants[index].variant


def _word(found: SpeedRatio, adjusted_p: float) -> Word:
    if adjusted_p >= 1 - LEVEL:
        return "not separated"
    return "faster" if found.value < 1 else "slower"
