"""Races for tests: complete, valid, with the latencies a test cares about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.store import files, record
from harness.store.job import OUTCOME, OutcomeName
from harness.store.paths import RaceFolder, SuiteFolder
from harness.store.race import BLOCK, RACE, BlockResult, Entrant, Race
from harness.store.record import AS_TRAINED, Environment
from tests.store.make import make_attempt, make_record, make_trial


def make_entrant(name: str = "a", *, seeds: int = 1, variant: str = AS_TRAINED) -> Entrant:
    """A row with so many seeds."""
    trial_ids = tuple(f"{name}-s{seed}" for seed in range(seeds))
    return Entrant(label=name, configuration=name, variant=variant, trial_ids=trial_ids)


def make_race(*entrants: Entrant, **changes: Any) -> Race:
    """A race of these, or of a and b."""
    fields: dict[str, Any] = {
        "dataset": "shapes",
        "entrants": entrants or (make_entrant("a"), make_entrant("b")),
        "blocks": 3,
        "level": "quick",
        "images": 20,
        "seconds": 0.0,
        "order_seed": 7,
        "harness": "0.3.0",
        "created_at": "2026-01-01T18:00:00+00:00",
        **changes,
    }
    return Race(**fields)


def make_result(trial_id: str = "a-s0", seconds: float = 0.02, **changes: Any) -> BlockResult:
    """What a turn measured."""
    fields: dict[str, Any] = {
        "trial_id": trial_id,
        "variant": AS_TRAINED,
        "environment": make_environment(),
        "score_threshold": 0.05,
        "first_image": 0,
        "images": 20,
        "image_median_s": seconds,
        "latency_s": record.distribution([[seconds] * 20]),
        "measured_at": "2026-01-01T18:00:00+00:00",
        **changes,
    }
    return BlockResult(**fields)


def make_environment(**changes: Any) -> Environment:
    """Where a turn ran."""
    return make_record(make_trial(), **changes).environment


def write_race(folder: SuiteFolder, race: Race, seconds: Sequence[Sequence[float | None]] = ()) -> RaceFolder:
    """Write a race as a run leaves it: a row of `seconds` for each block, a number for each entrant that ran in it."""
    place = folder.next_race()
    files.commit(place.race, record.encode(RACE, race))
    for block, row in enumerate(seconds, start=1):
        for number, value in enumerate(row, start=1):
            if value is not None:
                write_result(place, block, number, make_result(race.entrants[number - 1].trial_id(block), value))
    return place


def write_result(place: RaceFolder, block: int, number: int, result: BlockResult) -> None:
    """Write what a turn measured."""
    turn = place.turn(block, number)
    files.make_folder(turn.path)
    files.commit(turn.committed, record.encode(BLOCK, result))


def write_end(place: RaceFolder, block: int, number: int, outcome: OutcomeName, reason: str = "as made") -> None:
    """Write how a turn ended that measured nothing."""
    turn = place.turn(block, number)
    files.make_folder(turn.path)
    files.commit(turn.outcome, record.encode(OUTCOME, make_attempt(outcome, reason)))
