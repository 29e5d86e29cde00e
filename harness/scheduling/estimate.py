"""Estimate how long trials will take and how many bytes they will write, from preflights and from trials that ran.

Estimates decide the order of trials and which ones would not end in time; no result depends on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.store.job import Preflight
    from harness.store.record import Record
    from harness.suite.schema import Protocol
    from harness.suite.trial import Trial

_FLOAT_BYTES = 4
_STATES = 3  # of training: two are kept, a third is being written
_DETECTION_BYTES = 24  # of one row of detections.parquet, compressed
_MEASUREMENT_IMAGES = 90  # thresholds, memory passes and operation count beside the timed passes, in images


def trial_s(preflight: Preflight, protocol: Protocol) -> float:
    """Return the seconds of a whole trial: start, steps, evaluations, and the passes that the protocol asks for.

    A variant counts like the model itself, and starts a process. Compiling, and passes that are taken again, are not
    foreseen.
    """
    image_s = preflight.evaluation_s
    round_s = protocol.latency_images * image_s
    latency_s = max(protocol.rounds * round_s, protocol.latency_s) + round_s  # the phases
    throughput_s = max(protocol.rounds * round_s, protocol.throughput_s)
    measurement_s = latency_s + throughput_s + (protocol.warmup + _MEASUREMENT_IMAGES) * image_s
    training_s = preflight.steps * preflight.step_s
    variants_s = len(protocol.variants) * (preflight.startup_s + measurement_s + preflight.images * image_s)
    return preflight.startup_s + training_s + preflight.evaluations * image_s + measurement_s + variants_s


def expected_s(
    trials: Sequence[Trial], preflights: Mapping[str, Preflight], records: Sequence[Record]
) -> dict[str, float]:
    """Return the seconds that each trial takes, by id: what another seed took, else what its preflight foresees.

    A trial without either is missing.

    Args:
        preflights: by `configuration_key`.
    """
    took = {
        configuration_key(record.trial): sum(a.wall_s for a in record.attempts if a.outcome != "preflight_passed")
        for record in records
    }
    seconds = {}
    for trial in trials:
        key = configuration_key(trial)
        if key in took:
            seconds[trial.trial_id] = took[key]
        elif key in preflights:
            seconds[trial.trial_id] = trial_s(preflights[key], trial.protocol)
    return seconds


def in_order(trials: Sequence[Trial], expected: Mapping[str, float]) -> tuple[Trial, ...]:
    """Order trials: one seed of everything first, then the second seeds; within a seed the shortest first.

    Trials of unknown length come last within their seed, in the order given.

    Args:
        trials: in the order of the plan: seed by seed.
    """
    seeds = list(dict.fromkeys(trial.seed for trial in trials))
    return tuple(
        sorted(trials, key=lambda trial: (seeds.index(trial.seed), expected.get(trial.trial_id, float("inf"))))
    )


def too_late(trials: Sequence[Trial], expected: Mapping[str, float], seconds: float) -> tuple[Trial, ...]:
    """Return the trials that would not end within so many seconds, where each starts when the one before has ended.

    A trial of unknown length is taken to take no time: a preflight will tell.
    """
    late, passed_s = [], 0.0
    for trial in trials:
        ends_s = passed_s + expected.get(trial.trial_id, 0.0)
        if ends_s > seconds:
            late.append(trial)
        else:
            passed_s = ends_s
    return tuple(late)


def needed_bytes(trials: Sequence[Trial], preflights: Mapping[str, Preflight]) -> int:
    """Return how many bytes these trials write at most: weights and detections of each, and the checkpoints of one.

    An exported variant is as large as the weights.

    Without a preflight from the catalogue: SGD keeps one number beside each parameter, AdamW two.
    """
    kept, passing = 0, 0
    for trial in trials:
        preflight = preflights.get(configuration_key(trial))
        files = 1 + ("onnxruntime" in trial.protocol.variants)
        if preflight is not None:
            rows = preflight.images * trial.protocol.detections * (1 + len(trial.protocol.variants))
            kept += files * preflight.weights_bytes + rows * _DETECTION_BYTES
            passing = max(passing, _STATES * preflight.state_bytes)
        else:
            choice = trial.architecture
            weights = (choice.own or BUILT_IN[choice.name]).parameters * _FLOAT_BYTES
            kept += files * weights
            passing = max(passing, _STATES * weights * (2 if trial.hyperparameters.optimizer == "sgd" else 3))
    return kept + passing
