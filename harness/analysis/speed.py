"""What may be said about the speeds of one table's rows: whose speeds compare, and who is faster, by a race.

Without a race, medians of one process each are all that there is, and nobody is called faster.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.analysis.race.ratios import compare_all, latency_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from harness.analysis.race.ratios import SpeedVerdict
    from harness.analysis.race.read import RaceTimes
    from harness.analysis.statistics import Interval

Word = Literal["faster", "slower", "not separated", "not raced", "not comparable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedClaim:
    """What may be said of the speed of one row against another one.

    Attributes:
        word: faster, slower or not separated where the two raced; not raced where only medians of one process each are
            known; not comparable where these come from different machines or protocols.
        times: how many times as fast the first is, by its latency; NaN if that is not comparable.
        interval: of `times`, 95 %, over the blocks of the race, corrected as the word is; None without a race.
    """

    word: Word
    times: float
    interval: Interval | None = None

    @property
    def separated(self) -> bool:
        """Whether one of the two was faster beyond chance."""
        return self.word in {"faster", "slower"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """The speeds of a table's rows; rows are named by their index in the frame.

    Attributes:
        groups: the rows whose latencies compare with each other; there are several if the machine or the protocol
            changed.
        reasons: in what the groups differ, or the seeds of one row.
        mixed: the rows whose own seeds do not compare, so that their mean latency is nobody's.
        latencies: the latency of each row, in seconds: of the race where it raced, else of its trials.
        own_latencies: the latency of each row's own trials, in seconds, by which two compare that did not race.
        race: the blocks of the newest race; None if there is none that counts.
        race_elsewhere: in what the environment of the newest race differs from that of the trials: it does not count.
        verdicts: who is faster, for every two rows that raced, each way round.
    """

    groups: tuple[tuple[Hashable, ...], ...]
    reasons: tuple[str, ...]
    mixed: frozenset[Hashable]
    latencies: Mapping[Hashable, float]
    own_latencies: Mapping[Hashable, float]
    race: RaceTimes | None
    race_elsewhere: tuple[str, ...]
    verdicts: Mapping[tuple[Hashable, Hashable], SpeedVerdict]

    def compare_together(self, rows: Sequence[Hashable]) -> bool:
        """Whether the speeds of all these rows compare."""
        return any(set(rows) <= set(group) for group in self.groups) and not self.mixed & set(rows)

    def failed_in_race(self, configuration: str, variant: str) -> bool:
        """Whether this row left the race because its process failed."""
        place = self.race.find(configuration, variant) if self.race is not None else None
        return self.race is not None and place is not None and self.race.entrants[place].label in self.race.failed

    def claim(self, first: Hashable, second: Hashable) -> SpeedClaim:
        """Return what may be said of the first row's speed against the second's."""
        if not self.compare_together((first, second)):
            return SpeedClaim(word="not comparable", times=math.nan)
        verdict = self.verdicts.get((first, second))
        if verdict is not None:
            faster = verdict.interval.inverse()
            return SpeedClaim(word=verdict.word, times=faster.value, interval=faster)
        return SpeedClaim(word="not raced", times=self.own_latencies[second] / self.own_latencies[first])

    def fastest(self, rows: Sequence[Hashable]) -> Hashable:
        """Return the row of lowest latency, the first of equals: in the race of those that raced, else by medians."""
        raced = [row for row in rows if any((row, other) in self.verdicts for other in rows)]
        best = min(raced, key=self.latencies.__getitem__, default=None)
        return min((row for row in rows if row == best or row not in raced), key=self.own_latencies.__getitem__)


def with_race(rows: pd.DataFrame, race: RaceTimes | None) -> pd.DataFrame:
    """Put the latency of the race in the place of the trials' own for each row that raced, and its p95 as well.

    The trials' own median stays as `latency_trial_s`; `latency_race_low_s` and `latency_race_high_s` are the ends of
    the 95 % interval over blocks, NaN for a row that did not race.
    """
    places = _places(rows, race) if race is not None else {}
    raced = {index: latency for index, place in places.items() if race and (latency := latency_of(race, place))}
    nan = math.nan
    p95 = {index: float(np.nanmean(race.p95_s[:, places[index]])) for index in raced} if race else {}
    return rows.assign(
        latency_trial_s=rows["latency_median_s"],
        latency_median_s=[
            raced[index].value if index in raced else own for index, own in rows["latency_median_s"].items()
        ],
        latency_p95_s=[p95.get(index, own) for index, own in rows["latency_p95_s"].items()],
        latency_race_low_s=[raced[index].low if index in raced else nan for index in rows.index],
        latency_race_high_s=[raced[index].high if index in raced else nan for index in rows.index],
    )


def compare_speeds(
    rows: pd.DataFrame,
    race: RaceTimes | None,
    *,
    groups: tuple[tuple[Hashable, ...], ...],
    reasons: tuple[str, ...],
    mixed: frozenset[Hashable] = frozenset(),
    race_elsewhere: tuple[str, ...] = (),
) -> Speeds:
    """Compare the speeds of a table's rows by the newest race: every two that raced.

    Args:
        rows: what `with_race` returns.
        race: the newest race; None if there is none.
        groups: the rows whose speeds compare.
        reasons: in what the groups differ, or the seeds of one row.
        mixed: the rows whose own seeds do not compare.
        race_elsewhere: in what the environment of a race differs that therefore does not count.
    """
    places = _places(rows, race) if race is not None else {}
    verdicts = compare_all(race) if race is not None else {}
    pairs = itertools.permutations(places, 2)
    return Speeds(
        groups=groups,
        reasons=reasons,
        mixed=mixed,
        latencies=rows["latency_median_s"].to_dict(),
        own_latencies=rows["latency_trial_s"].to_dict(),
        race=race,
        race_elsewhere=race_elsewhere,
        verdicts={
            (first, second): verdicts[places[first], places[second]]
            for first, second in pairs
            if (places[first], places[second]) in verdicts
        },
    )


def _places(rows: pd.DataFrame, race: RaceTimes) -> dict[Hashable, int]:
    """Return which entrant each row is; a row that did not race is missing."""
    found = {index: race.find(row["configuration"], row["variant"]) for index, row in rows.iterrows()}
    return {index: place for index, place in found.items() if place is not None}
