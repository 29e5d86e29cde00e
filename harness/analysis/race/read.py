"""The times of a race as one table: the median latency of each entrant in each block.

Blocks count together only where they ran in one environment: the newest one's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import environments
from harness.store.problems import note
from harness.store.race import MIN_BLOCKS, MIN_ENTRANTS, read_races

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from harness.store.paths import SuiteFolder
    from harness.store.race import BlockResult, Entrant, RaceState
    from harness.store.record import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceTimes:
    """What a race measured.

    Attributes:
        number: of the race, as its folder is named.
        entrants: the rows that raced.
        seconds: float64 [blocks, entrants], the median over images of each image's median latency; NaN where an entrant
            did not run in a block, or ran in another environment.
        p95_s: float64 [blocks, entrants], the 95th percentile of all timings of each of these.
        failed: why an entrant left the race, by its label.
        environment: where it ran.
    """

    number: int
    entrants: tuple[Entrant, ...]
    seconds: NDArray[np.float64]
    p95_s: NDArray[np.float64]
    failed: Mapping[str, str]
    environment: Environment

    @property
    def blocks(self) -> int:
        """In how many blocks at least two entrants ran."""
        return int((np.isfinite(self.seconds).sum(axis=1) >= MIN_ENTRANTS).sum())

    def find(self, configuration: str, variant: str) -> int | None:
        """Return which entrant is this row, counted from 0; None where it did not race."""
        for index, entrant in enumerate(self.entrants):
            if (entrant.configuration, entrant.variant) == (configuration, variant):
                return index
        return None


def read_times(folder: SuiteFolder, dataset: str, rows: Collection[tuple[str, str]]) -> RaceTimes | None:
    """Return the newest race with at least two of these rows and two complete blocks; None where there is none.

    A race of copies, which compares equal rows, is never the one.

    Args:
        folder: the suite's results folder.
        dataset: the name of the dataset.
        rows: the (configuration, variant) of the rows that are to be compared.
    """
    for state in read_races(folder, dataset):
        raced = [one for one in state.race.entrants if (one.configuration, one.variant) in rows]
        if state.race.copies == 1 and len(raced) >= MIN_ENTRANTS and (times := times_of(state)) is not None:
            return times
    return None


def times_of(state: RaceState) -> RaceTimes | None:
    """Return what a race measured; None where it has fewer than two complete blocks of its newest environment."""
    newest = max(state.results.values(), key=lambda result: result.measured_at, default=None)
    if newest is None:
        return None
    alike = {turn: result for turn, result in state.results.items() if _alike(result, newest)}
    if len(alike) < len(state.results):
        note(
            f"{state.folder.path}: {len(state.results) - len(alike)} of {len(state.results)} turns ran in another "
            "environment than the newest one and do not count"
        )
    if replace(state, results=alike).complete_blocks < MIN_BLOCKS:
        return None
    seconds, p95 = np.full((2, state.race.blocks, len(state.race.entrants)), np.nan)
    for (block, entrant), result in alike.items():
        seconds[block - 1, entrant - 1] = result.image_median_s
        p95[block - 1, entrant - 1] = result.latency_s.p95
    return RaceTimes(
        number=state.folder.number,
        entrants=state.race.entrants,
        seconds=seconds,
        p95_s=p95,
        failed=state.reasons,
        environment=newest.environment,
    )


def _alike(result: BlockResult, newest: BlockResult) -> bool:
    """Return whether two turns ran in one environment; TF32 belongs to what an entrant's suite asks for."""
    environment = replace(result.environment, tf32=newest.environment.tf32)
    return not environments.differences((environment, newest.environment))
