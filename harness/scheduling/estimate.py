"""How long trials will take and how much they will write, from rehearsals and from trials that ran.

Estimates order a night and cut it short in time; no result depends on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.expand import configuration

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


def trial_s(rehearsal: Preflight, protocol: Protocol) -> float:
    """Seconds of a whole trial: start, steps, evaluations, and the passes that the protocol asks for.

    A variant counts like the model itself, and starts a process. Compiling, and passes that are taken again, are not
    foreseen.
    """
    image_s = rehearsal.evaluation_s
    round_s = protocol.latency_images * image_s
    latency_s = max(protocol.rounds * round_s, protocol.latency_s) + round_s  # the phases
    throughput_s = max(protocol.rounds * round_s, protocol.throughput_s)
    measurement_s = latency_s + throughput_s + (protocol.warmup + _MEASUREMENT_IMAGES) * image_s
    training_s = rehearsal.steps * rehearsal.step_s
    variants_s = len(protocol.variants) * (rehearsal.startup_s + measurement_s + rehearsal.images * image_s)
    return rehearsal.startup_s + training_s + rehearsal.evaluations * image_s + measurement_s + variants_s


def expected_s(
    trials: Sequence[Trial], rehearsals: Mapping[str, Preflight], records: Sequence[Record]
) -> dict[str, float]:
    """Seconds that each trial takes, by id: as another seed of it took, else as its configuration's rehearsal says.

    A trial without either is missing.

    Args:
        rehearsals: by `configuration`.
    """
    took = {
        configuration(record.trial): sum(a.wall_s for a in record.attempts if a.outcome != "preflight_passed")
        for record in records
    }
    found = {}
    for trial in trials:
        key = configuration(trial)
        if key in took:
            found[trial.trial_id] = took[key]
        elif key in rehearsals:
            found[trial.trial_id] = trial_s(rehearsals[key], trial.protocol)
    return found


def in_order(trials: Sequence[Trial], expected: Mapping[str, float]) -> tuple[Trial, ...]:
    """One seed of everything first, then the second seeds; within a seed shortest first, unknown ones as they came.

    Args:
        trials: in the order of the plan: seed by seed.
    """
    seeds = list(dict.fromkeys(trial.seed for trial in trials))
    return tuple(
        sorted(trials, key=lambda trial: (seeds.index(trial.seed), expected.get(trial.trial_id, float("inf"))))
    )


def needed_bytes(trials: Sequence[Trial], rehearsals: Mapping[str, Preflight]) -> int:
    """What these trials will write at most: each its weights and detections, and one after the other its checkpoints.

    An exported variant is as large as the weights.

    Without a rehearsal from the catalogue: SGD keeps one number beside each parameter, AdamW two.
    """
    kept, passing = 0, 0
    for trial in trials:
        rehearsal = rehearsals.get(configuration(trial))
        files = 1 + ("onnxruntime" in trial.protocol.variants)
        if rehearsal is not None:
            rows = rehearsal.images * trial.protocol.detections * (1 + len(trial.protocol.variants))
            kept += files * rehearsal.weights_bytes + rows * _DETECTION_BYTES
            passing = max(passing, _STATES * rehearsal.state_bytes)
        else:
            choice = trial.architecture
            weights = (choice.own or BUILT_IN[choice.name]).parameters * _FLOAT_BYTES
            kept += files * weights
            passing = max(passing, _STATES * weights * (2 if trial.hyperparameters.optimizer == "sgd" else 3))
    return kept + passing
