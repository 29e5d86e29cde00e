"""A race: rows of one dataset, timed against each other in blocks.

In a block each entrant runs once, in a fresh process, in random order. What differs from process to process, and drifts
from hour to hour, is thereby part of what is compared, as rounds within one process cannot have it. Owns the fields of
`race.json` and of each turn's `block.json`, and reads how far a race is; nothing here starts a process or computes a
ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, TypeAdapter

from harness.store import record
from harness.store.job import OUTCOME, Outcome
from harness.store.migrate import StoredKind
from harness.store.problems import note
from harness.store.record import Distribution, Environment  # noqa: TC001 - pydantic reads the annotations
from harness.suite.schema import Level  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.store.paths import AttemptFolder, RaceFolder, SuiteFolder

MIN_BLOCKS = 2  # one block says nothing of the difference between two
MAX_BLOCKS = 100
BLOCKS: Mapping[str, int] = {"quick": 3, "standard": 5, "publish": 9}  # by protocol level
SECONDS: Mapping[str, float] = {"quick": 0.0, "standard": 3.0, "publish": 3.0}  # of timing, an entrant and block
IMAGES = 20  # of an entrant and block, at least
MIN_ENTRANTS = 2
MAX_ENTRANTS = 12  # unless a person names more

_Seconds = Annotated[float, Field(gt=0, le=1e12)]
_Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A row that races.

    Attributes:
        label: the row's name when the race began.
        configuration: `configuration_key` of its trials.
        variant: how its weights run.
        trial_ids: its measured seeds, whose weights race in turn.
    """

    label: str
    configuration: str
    variant: str
    trial_ids: Annotated[tuple[str, ...], Field(min_length=1)]

    def trial_id(self, block: int) -> str:
        """Whose weights race in this block: each block another seed, so that their difference is part of the error."""
        return self.trial_ids[(block - 1) % len(self.trial_ids)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Who races, and how.

    Attributes:
        blocks: how many blocks there are to be.
        level: the protocol level that the number of blocks and the seconds follow.
        images: how many images each turn times, at least.
        seconds: how long each turn times, at least.
        order_seed: decides the order of the entrants in each block.
        harness: the version that began the race.
        created_at: UTC, ISO 8601.
        copies: how often each row is entered; more than once only to see how often equal ones are called different.
    """

    dataset: str
    entrants: Annotated[tuple[Entrant, ...], Field(min_length=MIN_ENTRANTS)]
    blocks: Annotated[int, Field(ge=MIN_BLOCKS, le=MAX_BLOCKS)]
    level: Level
    images: _Count
    seconds: Annotated[float, Field(ge=0, le=1e12)]
    order_seed: Annotated[int, Field(ge=0)]
    harness: str
    created_at: str
    copies: _Count = 1

    def order(self, block: int) -> tuple[int, ...]:
        """The numbers of the entrants, from 1, in the order in which they run in this block.

        Every second block runs in the reverse of the order before it, which is random: a machine that grows slower
        within each block would otherwise favour whoever happens to come first in all of them.
        """
        pair, reverse = divmod(block - 1, 2)
        drawn = np.random.default_rng((self.order_seed, pair)).permutation(len(self.entrants))
        return tuple(int(number) + 1 for number in (drawn[::-1] if reverse else drawn))

    @property
    def turns(self) -> tuple[tuple[int, int], ...]:
        """Every (block, entrant), both from 1, in the order in which they run."""
        return tuple((block, entrant) for block in range(1, self.blocks + 1) for entrant in self.order(block))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockResult:
    """What one entrant's process measured in one block.

    Attributes:
        trial_id: whose weights ran.
        score_threshold: below which boxes were dropped.
        first_image: the number of the first image in the evaluated split.
        images: how many different images were timed.
        image_median_s: the median over these images of each one's median.
        latency_s: over all timings.
        measured_at: when the timing ended, UTC, ISO 8601.
    """

    trial_id: str
    variant: str
    environment: Environment
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    first_image: Annotated[int, Field(ge=0)]
    images: _Count
    image_median_s: _Seconds
    latency_s: Distribution
    measured_at: str


RACE = StoredKind(name="race", adapter=TypeAdapter(Race))
BLOCK = StoredKind(name="block", adapter=TypeAdapter(BlockResult))


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceState:
    """A race as its folder shows it.

    Attributes:
        results: what was measured, by block and entrant, both counted from 1.
        failed: how an entrant's process failed, by the entrant's number; it takes part in no further block.
    """

    folder: RaceFolder
    race: Race
    results: Mapping[tuple[int, int], BlockResult]
    failed: Mapping[int, Outcome]

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The (block, entrant) that are still to run, in order; none once fewer than two entrants are left."""
        if len(self.race.entrants) - len(self.failed) < MIN_ENTRANTS:
            return ()
        return tuple(turn for turn in self.race.turns if turn[1] not in self.failed and turn not in self.results)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each entrant that failed did, by its label."""
        return {self.race.entrants[n - 1].label: end.reason or end.outcome for n, end in sorted(self.failed.items())}

    @property
    def complete_blocks(self) -> int:
        """How many blocks have run for every entrant that did not fail."""
        incomplete = {block for block, _ in self.missing}
        run = {block for block, _ in self.results}
        return len(run - incomplete)


def read_race(folder: RaceFolder) -> RaceState | None:
    """Read a race; what cannot be read of it is left out, with a warning. None where it is the race itself."""
    if not folder.race.is_file():  # killed between the folder and its first file
        return None
    try:
        race = record.decode(RACE, folder.race.read_bytes(), str(folder.race))
    except OSError as error:
        note(f"{folder.race}: cannot be read: {error.strerror}; the race is left out")
        return None
    except record.RecordError as error:
        note(f"{error}; the race is left out")
        return None
    results: dict[tuple[int, int], BlockResult] = {}
    failed: dict[int, Outcome] = {}
    for number, entrant in enumerate(race.entrants, start=1):
        for block in range(1, race.blocks + 1):
            turn = folder.turn(block, number)
            result = _read_result(turn, entrant)
            outcome = _read_failure(turn) if result is None else None
            if result is not None:
                results[block, number] = result
            elif outcome is not None:
                failed.setdefault(number, outcome)
    return RaceState(folder=folder, race=race, results=results, failed=failed)


def read_races(folder: SuiteFolder, dataset: str) -> tuple[RaceState, ...]:
    """Every race of a dataset that can be read, the newest first."""
    states = (read_race(race) for race in reversed(folder.races()))
    return tuple(state for state in states if state is not None and state.race.dataset == dataset)


def _read_result(turn: AttemptFolder, entrant: Entrant) -> BlockResult | None:
    """What a turn measured; None where it measured nothing, or nothing that can be read."""
    path = turn.committed
    if not path.is_file():
        return None
    try:
        result = record.decode(BLOCK, path.read_bytes(), str(path))
    except (OSError, record.RecordError) as error:
        note(f"{error}; it is left out of the race")
        return None
    if result.trial_id not in entrant.trial_ids or result.variant != entrant.variant:
        note(f"{path}: is of {result.trial_id}, which is not who races here; it is left out of the race")
        return None
    return result


def _read_failure(turn: AttemptFolder) -> Outcome | None:
    """How a turn failed for a reason of its own; None where it did not, or was only interrupted."""
    if not turn.outcome.is_file():
        return None
    try:
        outcome = record.decode(OUTCOME, turn.outcome.read_bytes(), str(turn.outcome))
    except (OSError, record.RecordError) as error:
        note(f"{error}; the turn is taken again")
        return None
    return outcome if outcome.outcome not in {"succeeded", "interrupted"} else None
