"""Run a race: turn after turn, each in a fresh process, one at a time, from the first that is missing to the last.

Owns what is decided between two turns: who is next, who is out, when to stop. What happened lies in files, so that a
race that was interrupted or killed goes on turn by turn. Who races is decided by `harness.analysis.race.entrants`, what
the times mean by `harness.analysis.race.ratios`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from harness.processes.watch import Timeouts
from harness.store import files, record
from harness.store.job import Attempt, Job, RaceTurn
from harness.store.race import BLOCK, BLOCKS, IMAGES, RACE, SECONDS, Entrant, Race, RaceState, read_races
from harness.store.record import AS_TRAINED
from harness.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.executors.supervise import Supervisor
    from harness.scheduling.observer import Observers
    from harness.store.paths import AttemptFolder, RaceFolder, SuiteFolder
    from harness.store.race import BlockResult
    from harness.suite.schema import Level, VariantName
    from harness.suite.trial import Trial

_HANG_S = 30 * 60.0  # compiling a variant says nothing for minutes
_ORDER_SEEDS = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedWeights:
    """Fine-tuned weights, and the suite file's folder, for a user's own code."""

    trial: Trial
    file: Path
    import_folder: str


def new_race(dataset: str, entrants: Sequence[Entrant], level: Level, *, blocks: int | None, copies: int) -> Race:
    """Return a race that has not begun; without a number of blocks that of the protocol's level."""
    now = datetime.now(UTC)
    return Race(
        dataset=dataset,
        entrants=tuple(entrants),
        blocks=BLOCKS[level] if blocks is None else blocks,
        level=level,
        images=IMAGES,
        seconds=SECONDS[level],
        order_seed=int(now.timestamp() * 1000) % _ORDER_SEEDS,
        harness=__version__,
        created_at=now.isoformat(timespec="seconds"),
        copies=copies,
    )


def same_race(first: Race, second: Race, *, blocks: bool) -> bool:
    """Return whether the same weights race in the same way; with `blocks` over as many blocks."""

    def who(race: Race) -> list[tuple[object, ...]]:
        return sorted((entrant.configuration, entrant.variant, entrant.trial_ids) for entrant in race.entrants)

    def how(race: Race) -> tuple[object, ...]:
        return race.dataset, race.level, race.images, race.seconds, race.copies, race.blocks if blocks else None

    return who(first) == who(second) and how(first) == how(second)


def unfinished(folder: SuiteFolder, race: Race, *, blocks: bool) -> RaceState | None:
    """Return the newest race of the same entrants whose turns have not all run, if there is one."""
    states = read_races(folder, race.dataset)
    return next((state for state in states if state.missing and same_race(state.race, race, blocks=blocks)), None)


def finished(folder: SuiteFolder, race: Race) -> RaceState | None:
    """Return the newest race of the same entrants that has run to its end over at least as many blocks, if any."""
    for state in read_races(folder, race.dataset):
        if not state.missing and state.race.blocks >= race.blocks and same_race(state.race, race, blocks=False):
            return state
    return None


def begin(folder: SuiteFolder, race: Race) -> RaceState:
    """Store a race before its first turn.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    place = folder.next_race()
    files.commit(place.race, record.encode(RACE, race))
    return RaceState(folder=place, race=race, results={}, failed={})


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceRunner:
    """Runs the turns that are missing.

    Attributes:
        folder: the suite's.
        weights: by trial id.
        expected_s: the seconds of a turn, by the entrant's number; replaced by what its turns take.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads of each process.
        supervisor: runs one process to its end.
        observer: follows the race.
    """

    folder: SuiteFolder
    weights: Mapping[str, TrainedWeights]
    expected_s: Mapping[int, float]
    device: str
    threads: int
    supervisor: Supervisor
    observer: Observers

    def run(self, state: RaceState, until: datetime | None) -> RaceState:
        """Run turn after turn until none is missing, or until the next block would not end in time.

        Raises:
            MachineError: the disk or the device stopped it.
            Interrupted: a signal came; the turn in progress is taken again next time.
        """
        took: dict[int, list[float]] = defaultdict(list)
        block = 0
        self.observer.race(state.race, state.folder.path, len(state.missing), self.left_s(state.missing, took))
        while state.missing:
            number, entrant = state.missing[0]
            if number != block:
                block = number
                turns = [turn for turn in state.missing if turn[0] == block]
                if not ends_in_time(self.left_s(turns, took), until):
                    return state
            result, attempt = self._run_turn(state.folder, state.race, block, entrant)
            took[entrant].append(attempt.wall_s)
            if result is not None:
                state = replace(state, results={**state.results, (block, entrant): result})
            else:
                state = replace(state, failed={**state.failed, entrant: attempt})
        return state

    def left_s(
        self, turns: Sequence[tuple[int, int]], took: Mapping[int, Sequence[float]] = MappingProxyType({})
    ) -> float:
        """Return the seconds that these turns are expected to take; `took` has those of turns so far, by entrant."""
        return sum(fmean(took[entrant]) if took.get(entrant) else self.expected_s[entrant] for _, entrant in turns)

    def _run_turn(self, folder: RaceFolder, race: Race, block: int, number: int) -> tuple[BlockResult | None, Attempt]:
        """Run one process to its end; return what it measured, if it did, and how it ended."""
        entrant = race.entrants[number - 1]
        place = folder.turn(block, number)
        _set_aside(place)
        files.make_folder(place.path)
        self.observer.turn(race, block, entrant)
        ended = self.supervisor.run(
            self._job(race, block, number),
            place,
            Timeouts(hang_s=_HANG_S, total_s=None),
            on_event=partial(self.observer.event, self.weights[entrant.trial_id(block)].trial),
            on_poll=self.observer.poll,
        )
        result: BlockResult | None = None
        if ended.recorded:
            result = record.decode(BLOCK, place.committed.read_bytes(), str(place.committed))
        self.observer.turn_end(race, block, entrant, result, ended.attempt.reason or ended.attempt.outcome)
        return result, ended.attempt

    def _job(self, race: Race, block: int, number: int) -> Job:
        entrant = race.entrants[number - 1]
        weights = self.weights[entrant.trial_id(block)]
        return Job(
            trial=weights.trial,
            number=number,
            device=self.device,
            threads=self.threads,
            import_folder=weights.import_folder,
            weights=str(weights.file),
            variant=None if entrant.variant == AS_TRAINED else cast("VariantName", entrant.variant),
            headers=str(self.folder.headers(weights.trial.dataset.name).resolve()),
            race=RaceTurn(first_image=(block - 1) * race.images, images=race.images, seconds=race.seconds),
        )


def ends_in_time(seconds: float, until: datetime | None) -> bool:
    """Return whether what takes so long ends by then, if it starts now."""
    return until is None or datetime.now(UTC) + timedelta(seconds=seconds) <= until


def _set_aside(turn: AttemptFolder) -> None:
    """Keep what an interrupted turn left, under another name, so that the turn can be taken again."""
    if turn.path.exists():
        taken = len(list(turn.path.parent.glob(f"{turn.path.name}.interrupted-*")))
        turn.path.rename(turn.path.with_name(f"{turn.path.name}.interrupted-{taken + 1}"))
