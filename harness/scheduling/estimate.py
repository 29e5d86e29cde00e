"""Estimate how long trials will take and how many bytes they will write, from preflights and from trials that ran.

Estimates decide the order of trials and which ones would not end in time; no result depends on them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.deployment import WITH_FILE
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.store.job import Preflight
    from harness.store.record import Record
    from harness.suite.schema import Protocol
    from harness.suite.trial import Trial

_FLOAT_BYTES = 4
_STATES = 3  # of training: two are kept, a third is being written
_DETECTION_BYTES = 24  # of one row of detections.parquet, compressed
_MEASUREMENT_IMAGES = 90  # thresholds, memory passes and operation count beside the timed passes, in images


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeconds:
    """The seconds that a trial's stages take, one after the other; validations are between the epochs of training."""

    start_s: float = 0.0
    training_s: float = 0.0
    validation_s: float = 0.0
    evaluation_s: float = 0.0
    measurement_s: float = 0.0
    variants_s: float = 0.0

    def of(self, stage: str) -> float:
        """Return the seconds of a stage: start, train (with its validations), evaluate, measure or variant."""
        return {
            "start": self.start_s,
            "train": self.training_s + self.validation_s,
            "evaluate": self.evaluation_s,
            "measure": self.measurement_s,
            "variant": self.variants_s,
        }[stage]

    def total_s(self) -> float:
        """Return the seconds of the whole trial."""
        return sum(self.of(stage) for stage in ("start", "train", "evaluate", "measure", "variant"))


def foreseen(preflight: Preflight, protocol: Protocol) -> StageSeconds:
    """Return the seconds of a trial's stages, of the passes that the protocol asks for too, by its preflight.

    A variant counts like the model itself, and starts a process. Compiling, and passes that are taken again, are not
    foreseen.
    """
    image_s = preflight.evaluation_s
    round_s = protocol.latency_images * image_s
    latency_s = max(protocol.rounds * round_s, protocol.latency_s) + round_s  # the phases
    throughput_s = max(protocol.rounds * round_s, protocol.throughput_s)
    measurement_s = latency_s + throughput_s + (protocol.warmup + _MEASUREMENT_IMAGES) * image_s
    evaluation_s = preflight.images * image_s
    return StageSeconds(
        start_s=preflight.startup_s,
        training_s=preflight.steps * preflight.step_s,
        validation_s=max(0, preflight.evaluations - preflight.images) * image_s,
        evaluation_s=evaluation_s,
        measurement_s=measurement_s,
        variants_s=len(protocol.variants) * (preflight.startup_s + measurement_s + evaluation_s),
    )


def taken(record: Record) -> StageSeconds:
    """Return the seconds that a trial's stages took, over all its attempts: what is not known apart is measuring."""
    total_s = sum(attempt.wall_s for attempt in record.attempts if attempt.outcome != "preflight_passed")
    training_s = min(record.measurements.training_s or 0.0, total_s)
    evaluation_s = min(record.measurements.evaluation_s or 0.0, total_s - training_s)
    return StageSeconds(
        training_s=training_s, evaluation_s=evaluation_s, measurement_s=total_s - training_s - evaluation_s
    )


def expected_stages(
    trials: Sequence[Trial], preflights: Mapping[str, Preflight], records: Sequence[Record]
) -> dict[str, StageSeconds]:
    """Return how long each trial takes, by id: what another seed took, else what its preflight foresees.

    Another trial of the same search counts as another seed. A trial without either is missing.

    Args:
        preflights: by `configuration_key`.
    """
    took = {_alike(record.trial): taken(record) for record in records}
    stages = {}
    for trial in trials:
        key = configuration_key(trial)
        if _alike(trial) in took:
            stages[trial.trial_id] = took[_alike(trial)]
        elif key in preflights:
            stages[trial.trial_id] = foreseen(preflights[key], trial.protocol)
    return stages


def _alike(trial: Trial) -> str:
    """Return a text that is equal for trials that take as long as each other."""
    return trial.search.chain if trial.search is not None else configuration_key(trial)


def expected_s(
    trials: Sequence[Trial], preflights: Mapping[str, Preflight], records: Sequence[Record]
) -> dict[str, float]:
    """Return the seconds of all stages of each trial together, by id, as far as they are known."""
    return {trial_id: each.total_s() for trial_id, each in expected_stages(trials, preflights, records).items()}


def in_order(trials: Sequence[Trial], expected: Mapping[str, float], slots: int = 1) -> tuple[Trial, ...]:
    """Order trials: one seed of everything first, then the second seeds.

    Within a seed the shortest come first in one slot, so that there soon is a result; in several slots the longest, so
    that none of them ends long after the others. Trials of unknown length come last within their seed, as given.

    Args:
        trials: in the order of the plan: seed by seed.
        slots: how many run at once.
    """
    seeds = {seed: number for number, seed in enumerate(dict.fromkeys(trial.seed for trial in trials))}
    sign = 1 if slots == 1 else -1

    def place(trial: Trial) -> tuple[int, float]:
        seconds = expected.get(trial.trial_id)
        return seeds[trial.seed], float("inf") if seconds is None else sign * seconds

    return tuple(sorted(trials, key=place))


def too_late(
    trials: Sequence[Trial], expected: Mapping[str, float], seconds: float, slots: int = 1
) -> tuple[Trial, ...]:
    """Return the trials that would not end within so many seconds, where each starts when a slot is free.

    A trial of unknown length is taken to take no time: a preflight will tell.
    """
    late, free = [], [0.0] * slots
    for trial in trials:
        ends_s = free[0] + expected.get(trial.trial_id, 0.0)
        if ends_s > seconds:
            late.append(trial)
        else:
            heapq.heapreplace(free, ends_s)
    return tuple(late)


def finish_s(lengths: Iterable[float], slots: int = 1, busy: Sequence[float] = ()) -> float:
    """Return after how many seconds the last of these trials ends, where each starts when a slot is free.

    Args:
        lengths: seconds, in the order in which they start.
        slots: how many run at once.
        busy: the seconds that slots which are not free still need.
    """
    free = [*busy, *[0.0] * (slots - len(busy))]
    heapq.heapify(free)
    for seconds in lengths:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def needed_bytes(trials: Sequence[Trial], preflights: Mapping[str, Preflight], slots: int = 1) -> int:
    """Return how many bytes these trials write at most: weights and detections of each, checkpoints of those that run.

    An exported variant is as large as the weights.

    Without a preflight from the catalogue: SGD keeps one number beside each parameter, AdamW two, an average one more.
    """
    kept, passing = 0, []
    for trial in trials:
        preflight = preflights.get(configuration_key(trial))
        files = 1 + len(WITH_FILE.intersection(trial.protocol.variants))
        if preflight is not None:
            rows = preflight.images * trial.protocol.detections * (1 + len(trial.protocol.variants))
            kept += files * preflight.weights_bytes + rows * _DETECTION_BYTES
            passing.append(_STATES * preflight.state_bytes)
        else:
            choice = trial.architecture
            weights = (choice.own or BUILT_IN[choice.name]).parameters * _FLOAT_BYTES
            kept += files * weights
            h = trial.hyperparameters
            passing.append(_STATES * weights * ((2 if h.optimizer == "sgd" else 3) + (h.ema is not None)))
    return kept + sum(heapq.nlargest(slots, passing))
