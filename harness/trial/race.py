"""One turn of a race: build the fine-tuned detector in this fresh process, warm it up, time it, and nothing else.

No accuracy, no memory, no repetition of a doubtful pass: whatever disturbs a turn is part of the error that the race
estimates, and choosing between turns would hide it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from harness.store import files, tables
from harness.store.events import MeasuredEvent, StageEvent
from harness.store.race import BlockResult
from harness.store.record import AS_TRAINED
from harness.trial import environment
from harness.trial.arrays import stored_timings
from harness.trial.deploy import registry
from harness.trial.measure import timing
from harness.trial.measure.protocol import images_to_time, summary
from harness.trial.measure.repeat import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from harness.store.job import Job, RaceTurn
    from harness.store.paths import AttemptFolder
    from harness.trial.context import TrialContext
    from harness.trial.deploy.base import Deployment
    from harness.trial.events import EventWriter

_PROBES = 4  # images on which a variant is compared with the weights before it is timed


def run_turn(
    job: Job,
    turn: RaceTurn,
    context: TrialContext,
    folder: AttemptFolder,
    events: EventWriter,
    check: Callable[[], None],
) -> BlockResult:
    """Time the weights of the job; the raw samples go to the turn's folder.

    Args:
        check: called between two images; may raise an exception to stop.

    Raises:
        UnsupportedVariant: this machine does not support the variant.
        DataError: an image cannot be read.
    """
    events.emit(StageEvent(stage="measure", variant=job.variant))
    protocol = context.trial.protocol
    first = turn.first_image % len(context.evaluated)
    images = images_to_time(context.evaluated, turn.images, first=first)
    deployment = _deploy(job, context, images)
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)

    def beat() -> None:
        events.progress(MeasuredEvent())
        check()

    timed = replace(protocol, rounds=1, latency_images=turn.images, latency_s=turn.seconds)
    stopwatch = Bench.on(context.device, beat).stopwatch()
    with context.lock.alone():
        samples = [
            replace(sample, index=(first + sample.index) % len(context.evaluated))
            for sample in timing.latency(deployment.detect, images, timed, stopwatch)
        ]
    variant = job.variant or AS_TRAINED
    files.replace(folder.result.samples, tables.write_timings({variant: stored_timings(samples)}))
    return BlockResult(
        trial_id=context.trial.trial_id,
        variant=variant,
        environment=environment.describe(context.device, cores=job.threads, loader_workers=context.workers),
        score_threshold=protocol.deployment_score_threshold,
        first_image=first,
        images=len(images),
        image_median_s=median_over_images(samples),
        latency_s=summary(samples),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def median_over_images(samples: Sequence[timing.Sample]) -> float:
    """Return the median over images of each image's median, in seconds; an image that was timed often counts once."""
    by_image: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        by_image[sample.index].append(sample.seconds)
    return median(median(seconds) for seconds in by_image.values())


def _deploy(job: Job, context: TrialContext, images: Sequence[Tensor]) -> Deployment:
    if job.variant is None:
        return context.deployed()
    context.model.to("meta")  # what runs is loaded anew
    protocol = context.trial.protocol
    return registry.load(
        job.variant,
        context.weights(Path(job.weights or "")),
        images[:_PROBES],
        score_threshold=protocol.score_threshold,
        detections=protocol.detections,
    )
