"""Estimate how long the races of speed after the trials will take, from preflights and from trials that ran.

The estimate is an upper one: which rows will matter enough to race is known only when all trials are done.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from harness.store.race import BLOCKS, IMAGES, MAX_ENTRANTS, MIN_ENTRANTS, SECONDS, read_races
from harness.store.record import AS_TRAINED
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from harness.scheduling.plan import Plan
    from harness.store.job import Preflight
    from harness.store.record import Record
    from harness.suite.schema import Protocol
    from harness.suite.trial import Trial

_STARTUP_S = 10.0  # of a process whose start no preflight has timed


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceForecast:
    """The races of speed that will follow the trials.

    Attributes:
        entrants: how many rows may race, at most.
        blocks: how often each of them runs.
        seconds: how long that takes; None where it is not known.
    """

    entrants: int
    blocks: int
    seconds: float | None


def turn_s(protocol: Protocol, preflight: Preflight | None, record: Record | None) -> float | None:
    """Return the seconds of one entrant's turn in one block; None where nothing tells how long an image takes.

    Args:
        preflight: of the entrant's configuration, for the start of its process.
        record: of one of its trials, whose latency is nearer to that of a race than the preflight's image.
    """
    if record is not None:
        image_s = record.measurements.latency_s.median
    elif preflight is not None:
        image_s = preflight.evaluation_s
    else:
        return None
    startup_s = preflight.startup_s if preflight is not None else _STARTUP_S
    return startup_s + protocol.warmup * image_s + max(IMAGES * image_s, SECONDS[protocol.level])


def forecast_races(plan: Plan) -> RaceForecast | None:
    """Return what the races of a plan's datasets will take together; None where there will be none."""
    names = dict.fromkeys(trial.dataset.name for trial in plan.selected)
    forecasts = [forecast for name in names if (forecast := _forecast(plan, name)) is not None]
    if not forecasts:
        return None
    seconds = [forecast.seconds for forecast in forecasts]
    return RaceForecast(
        entrants=sum(forecast.entrants for forecast in forecasts),
        blocks=forecasts[0].blocks,
        seconds=None if None in seconds else sum(second or 0.0 for second in seconds),
    )


def rows_that_may_race(plan: Plan, dataset: str) -> tuple[tuple[str, str], ...]:
    """Return the (configuration, variant) of the rows of a dataset whose weights are there, or are to come."""
    trials = [trial for trial in plan.trials if trial.dataset.name == dataset and _may_race(plan, trial)]
    configurations = {configuration_key(trial): trial for trial in trials}
    return tuple(
        (key, variant) for key, trial in configurations.items() for variant in (AS_TRAINED, *trial.protocol.variants)
    )


def _may_race(plan: Plan, trial: Trial) -> bool:
    recorded = plan.records.get(trial.trial_id)
    if trial.max_images is not None or trial.search is not None:
        return False
    if recorded is None:
        return trial in plan.selected and trial.trial_id not in plan.failed
    return (plan.folder.trial(trial.trial_id).path / recorded.model.checkpoint).is_file()


def _forecast(plan: Plan, dataset: str) -> RaceForecast | None:
    """Return the forecast of one dataset; None where too few rows can race, or a race of these has run to its end."""
    rows = rows_that_may_race(plan, dataset)
    if len(rows) < MIN_ENTRANTS or not _is_to_come(plan, dataset):
        return None
    keys = dict.fromkeys(key for key, _ in rows)
    trials = {configuration_key(trial): trial for trial in plan.trials}
    recorded = {configuration_key(one.trial): one for one in plan.records.values()}
    turns = [turn_s(trials[key].protocol, plan.preflights.get(key), recorded.get(key)) for key in keys]
    level, entrants = trials[rows[0][0]].protocol.level, min(len(rows), MAX_ENTRANTS)
    seconds = None if None in turns else BLOCKS[level] * entrants * fmean(turn or 0.0 for turn in turns)
    return RaceForecast(entrants=entrants, blocks=BLOCKS[level], seconds=seconds)


def _is_to_come(plan: Plan, dataset: str) -> bool:
    """Return whether trials of this dataset are pending, or no race of it has run to its end."""
    if any(trial.dataset.name == dataset for trial in (*plan.pending, *plan.awaiting)):
        return True
    return not any(not state.missing and state.race.copies == 1 for state in read_races(plan.folder, dataset))
