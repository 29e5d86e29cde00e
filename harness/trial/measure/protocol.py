"""Speed, memory and energy of a deployed model, each in a pass of its own, at the deployment's score threshold.

The passes, in order: latency (batch 1) in turn with its phases, its dependence on the score threshold, throughput at a
fixed batch size, memory on the first images, memory on the image with most boxes. What is inside the clock stands in
`timing`.

A pass that leaves a doubt (timings that disagree, a held-back clock, others on the device) is taken again, at most
twice; the last one stands, with its doubts. The samples of all of them are kept.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.store.record import (
    Distribution,
    Inference,
    MeasurementWarning,
    Memory,
    MemoryPasses,
    Phases,
    ThresholdLatency,
    distribution,
)
from harness.trial.measure import memory, stability, timing
from harness.trial.measure.phases import NAMES, time_phases
from harness.trial.measure.repeat import Bench, Pass, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from harness.suite.schema import Protocol
    from harness.trial.deploy.base import Deployment
    from harness.trial.inputs.item import Items
    from harness.trial.measure.timing import Sample, Stopwatch

log = logging.getLogger(__name__)

MAX_IMAGE_BYTES = 2**30  # of decoded images held for timing; a split larger than that is timed on its first images
THRESHOLDS = (0.001, 0.05, 0.3)
_MAX_WAIT = 0.10
_MEMORY_IMAGES = 20
_THRESHOLD_IMAGES = 20
# A CPU gains nothing beyond, and would take hours to say so. On a GPU RoI align counts its work in 32 bits: 1,000
# proposals of 256 x 7 x 7 in a larger batch overflow.
_MAX_BATCH = {"cuda": 128, "cpu": 64}
_ENERGY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one pass after another found: the record's numbers, every sample, and the doubts that stayed."""

    inference: Inference
    samples: tuple[Sample, ...]
    warnings: tuple[MeasurementWarning, ...]


def measure(
    deployment: Deployment,
    items: Items,
    protocol: Protocol,
    *,
    bench: Bench,
    device: torch.device,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Measured:
    """Every pass of the protocol.

    Args:
        thresholds: of the pass that shows how latency depends on them; none leaves it out.

    Raises:
        DataError: an image cannot be read.
    """
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    images = images_to_time(items, protocol.latency_images)
    latency = _latency(bench, deployment, images, protocol)
    by_threshold = _by_threshold(bench, deployment, images, protocol, thresholds)
    size, throughput = _throughput(bench, deployment, images, protocol, device)
    del images  # a gigabyte at most, which is not the model's
    passes = {"latency": latency, "throughput": throughput}
    inference = Inference(
        latency_s=summary(_named(latency.samples, "latency")),
        throughput_images_per_s=timing.images_per_s(throughput.samples),
        throughput_batch_size=size,
        throughput_rounds=tuple(timing.images_per_s(round_) for round_ in stability.rounds(throughput.samples)),
        memory=_memory(deployment.detect, items, device),
        phases_s=_phases(latency.samples),
        latency_by_threshold=tuple(
            ThresholdLatency(score_threshold=threshold, latency_s=summary(samples))
            for threshold, samples in by_threshold.items()
        ),
        joules_per_image=_joules_per_image(throughput),
        repeats={name: taken.repeats for name, taken in passes.items() if taken.repeats},
    )
    return Measured(
        inference=inference,
        samples=tuple(
            sample
            for group in (*(taken.all_samples for taken in passes.values()), *by_threshold.values())
            for sample in group
        ),
        warnings=merged(warning for taken in passes.values() for warning in taken.warnings),
    )


def run_batch(deployment: Deployment, items: Items, protocol: Protocol) -> None:
    """One batch as the throughput pass runs it, unmeasured: does it fit in memory? `auto` finds out for itself."""
    size = protocol.throughput_batch_size if isinstance(protocol.throughput_batch_size, int) else 1
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    images = images_to_time(items, size)
    deployment.detect([images[index % len(images)] for index in range(size)])


def images_to_time(items: Items, count: int) -> list[Tensor]:
    """The first `count` images of a split, decoded, within MAX_IMAGE_BYTES; at least one."""
    images: list[Tensor] = []
    held = 0
    for index in range(min(count, len(items))):
        image = items[index].image
        held += image.numel() * image.element_size()
        if images and held > MAX_IMAGE_BYTES:
            break
        images.append(image)
    return images


def summary(samples: Sequence[Sample]) -> Distribution:
    """Of the seconds of a pass, over all its rounds."""
    return distribution([[sample.seconds for sample in round_] for round_ in stability.rounds(samples)])


def loader_bound(data_wait_fraction: float | None) -> tuple[MeasurementWarning, ...]:
    """The flag of a training that waited for data more than a tenth of its time."""
    if data_wait_fraction is None or data_wait_fraction <= _MAX_WAIT:
        return ()
    reason = (
        f"training waited for data {data_wait_fraction:.0%} of its time; more loader_workers, or smaller images, help"
    )
    return (MeasurementWarning(name="loader_bound", reason=reason),)


def count_flops(run: timing.Run, image: Tensor) -> int:
    """Floating-point operations of one image, a multiply and an add counted as two (torch.utils.flop_counter).

    Counted are convolutions and matrix products of the whole detector; not RoI align, NMS and elementwise work.
    """
    with FlopCounterMode(display=False) as counter:
        run([image])
    return int(counter.get_total_flops())


def _latency(bench: Bench, deployment: Deployment, images: Sequence[Tensor], protocol: Protocol) -> Pass:
    """Rounds of whole images and, where the runtime shows them, rounds of their phases in turn."""
    detector = deployment.detector

    def measure_once(stopwatch: Stopwatch) -> tuple[Sample, ...]:
        def phases(number: int) -> tuple[Sample, ...]:
            if detector is None:
                return ()
            return time_phases(
                deployment.detect,
                images,
                range(number - 1, len(images), protocol.rounds),  # each image once, over all rounds
                round_=number,
                detector=detector,
                stopwatch=stopwatch,
            )

        return timing.latency(deployment.detect, images, protocol, stopwatch, after_round=phases)

    def judge(samples: Sequence[Sample]) -> tuple[MeasurementWarning, ...]:
        whole = _named(samples, "latency")
        warnings = stability.unstable_latency(whole)
        if detector is not None:
            medians = [summary(_named(samples, f"phase {name}")).median for name in NAMES]
            warnings += stability.unsound_phases(medians, summary(whole).median)
        return warnings

    return bench.run_pass("latency", measure_once, judge)


def _phases(samples: Sequence[Sample]) -> Phases | None:
    by_name = {name: _named(samples, f"phase {name}") for name in NAMES}
    return Phases(**{name: summary(found) for name, found in by_name.items()}) if all(by_name.values()) else None


def _named(samples: Iterable[Sample], name: str) -> list[Sample]:
    return [sample for sample in samples if sample.name == name]


def _by_threshold(
    bench: Bench, deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, thresholds: Sequence[float]
) -> dict[float, tuple[Sample, ...]]:
    if not thresholds or deployment.detector is None:  # where the threshold is built in, each would be another export
        return {}
    found = timing.by_setting(
        thresholds,
        lambda threshold: deployment.set_threshold(threshold, protocol.detections),
        deployment.detect,
        images[:_THRESHOLD_IMAGES],
        name=lambda threshold: f"latency at {threshold:g}",
        stopwatch=bench.stopwatch(),
    )
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    return found


def _throughput(
    bench: Bench, deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, device: torch.device
) -> tuple[int, Pass]:
    """The batch size, and the pass at it; `auto` halves where a whole pass takes more memory than the search saw."""
    size = _batch_size(deployment, images, protocol, device)
    while True:
        try:
            taken = bench.run_pass(
                "throughput",
                partial(_throughput_once, deployment, images, protocol, size),
                stability.unstable_throughput,
            )
        except torch.cuda.OutOfMemoryError:
            if protocol.throughput_batch_size != "auto" or size == 1:
                raise
            size //= 2
            memory.free_unused(device)
        else:
            return size, taken


def _throughput_once(
    deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, size: int, stopwatch: Stopwatch
) -> tuple[Sample, ...]:
    return timing.throughput(deployment.detect, images, protocol, size, stopwatch)


def _batch_size(deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, device: torch.device) -> int:
    """The protocol's, or for `auto` the largest power of two that fits; the search leaves no memory behind."""
    if not deployment.batched:
        return 1
    if isinstance(protocol.throughput_batch_size, int):
        return protocol.throughput_batch_size
    # A batch is padded to its tallest and its widest image.
    hardest = [max(images, key=lambda image: image.shape[1]), max(images, key=lambda image: image.shape[2])]
    try:
        return timing.largest_power_of_two(
            lambda size: _fits(deployment, hardest, size, device), maximum=_MAX_BATCH[device.type]
        )
    finally:
        memory.free_unused(device)
        memory.reset_peak(device)


def _fits(deployment: Deployment, images: Sequence[Tensor], size: int, device: torch.device) -> bool:
    """Whether a batch passes. A CPU is not driven into swap: there, what half of it took must fit twice again."""
    if device.type == "cpu":
        memory.free_unused(device)
        memory.reset_peak(device)
        idle = memory.read_peak(device).peak_resident_bytes
        deployment.detect([images[index % len(images)] for index in range(size // 2)])
        peak, free = memory.read_peak(device).peak_resident_bytes, memory.available_bytes()
        return idle is None or peak is None or free is None or 2 * (peak - idle) < free
    try:
        deployment.detect([images[index % len(images)] for index in range(size)])
    except RuntimeError as error:  # out of memory, from torch or from a library below it
        log.info("a batch of %d does not pass: %s", size, error)
        return False
    finally:
        memory.free_unused(device)
    return True


def _memory(run: timing.Run, items: Items, device: torch.device) -> MemoryPasses:
    """Inference on the first images, and on the one with most boxes; of the images only these are held."""

    def peak(indices: Iterable[int]) -> Memory:
        batches = [items[index].image for index in indices]
        memory.free_unused(device)
        memory.reset_peak(device)
        for image in batches:
            run([image])
        return memory.read_peak(device)

    inference = peak(range(min(_MEMORY_IMAGES, len(items))))
    if items.annotations is None:  # a user's Dataset tells nothing before it is read
        return MemoryPasses(training=None, inference=inference)
    offsets = items.annotations.offsets
    crowded = int((offsets[1:] - offsets[:-1]).argmax())
    return MemoryPasses(
        training=None,
        inference=inference,
        worst_case=peak([crowded]),
        worst_case_image=items.annotations.file_names[crowded],
    )


def _joules_per_image(throughput: Pass) -> float | None:
    """The pass' mean power, warm-up included because the counter knows no single batch, over its timed seconds.

    None for a pass so short that the counter, which moves some ten times a second, tells too little.
    """
    first, last = throughput.system_samples[0].joules, throughput.system_samples[-1].joules
    wall_s = throughput.system_samples[-1].at_s - throughput.system_samples[0].at_s
    if first is None or last is None or wall_s < _ENERGY_S:
        return None
    timed_s = sum(sample.seconds for sample in throughput.samples)
    images = sum(sample.images for sample in throughput.samples)
    return (last - first) * timed_s / wall_s / images
