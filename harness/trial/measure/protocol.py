"""Measure the speed, memory and energy of a deployed model, each in a pass of its own, at its deployment threshold.

The passes, in order: latency (batch 1) alternating with its phases, latency at several score thresholds, throughput at
a fixed batch size, memory on the first images, memory on the image with most boxes. `timing` says what is timed.

A pass with a warning (timings that disagree, a throttled clock, other processes on the device) is repeated, at most
twice. The last repetition counts, with its warnings; the samples of all repetitions are kept.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

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
from harness.trial.failure import is_device_fault, out_of_memory
from harness.trial.inputs.item import as_float
from harness.trial.measure import memory, stability, timing
from harness.trial.measure.phases import NAMES, time_phases
from harness.trial.measure.repeat import Bench, Pass, merge_warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch
    from torch import Tensor, nn

    from harness.suite.schema import Protocol
    from harness.trial.deploy.base import Deployment
    from harness.trial.inputs.item import Items
    from harness.trial.measure.timing import Sample, Stopwatch

log = logging.getLogger(__name__)

MAX_IMAGE_BYTES = 2**30  # decoded images held for timing; a larger split is timed on its first images
THRESHOLDS = (0.001, 0.05, 0.3)
_MAX_WAIT = 0.10  # fraction of the training time
_MEMORY_IMAGES = 20
_THRESHOLD_IMAGES = 20
# A CPU gains nothing from larger batches, and would take hours to show it. On a GPU, RoI align counts its work in 32
# bits: 1,000 proposals of 256 x 7 x 7 in a larger batch overflow.
_MAX_BATCH = {"cuda": 128, "cpu": 64}
_MIN_ENERGY_S = 1.0  # a shorter pass is too short for the energy counter


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementResult:
    """The result of all passes: the record's numbers, every sample, and the warnings that remained."""

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
) -> MeasurementResult:
    """Run every pass of the protocol.

    Args:
        deployment: the deployed model.
        items: the images of the evaluated split.
        protocol: the measurement protocol.
        bench: the functions that every pass needs.
        device: the device that the model runs on.
        thresholds: the score thresholds at which latency is compared; if empty, that pass is left out.

    Raises:
        DataError: an image cannot be read.
    """
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    images = images_to_time(items, protocol.latency_images)
    latency = _latency(bench, deployment, images, protocol)
    by_threshold = _by_threshold(bench, deployment, images, protocol, thresholds)
    size, throughput = _throughput(bench, deployment, images, protocol, device)
    del images  # up to a gigabyte that must not count as the model's memory
    passes = {"latency": latency, "throughput": throughput}
    inference = Inference(
        latency_s=summary(_named(latency.samples, "latency")),
        throughput_images_per_s=timing.images_per_s(throughput.samples),
        throughput_batch_size=size,
        throughput_rounds=tuple(timing.images_per_s(round_) for round_ in stability.by_round(throughput.samples)),
        memory=_memory(deployment.detect, items, device),
        phases_s=_phases(latency.samples),
        latency_by_threshold=tuple(
            ThresholdLatency(score_threshold=threshold, latency_s=summary(samples))
            for threshold, samples in by_threshold.items()
        ),
        joules_per_image=_joules_per_image(throughput),
        repeats={name: result.repeats for name, result in passes.items() if result.repeats},
    )
    return MeasurementResult(
        inference=inference,
        samples=tuple(
            sample
            for group in (*(result.all_samples for result in passes.values()), *by_threshold.values())
            for sample in group
        ),
        warnings=merge_warnings(warning for result in passes.values() for warning in result.warnings),
    )


def run_batch(deployment: Deployment, items: Items, protocol: Protocol) -> None:
    """Run one batch like the throughput pass, to see whether it fits in memory; a batch of 1 for the size `auto`."""
    size = protocol.throughput_batch_size if isinstance(protocol.throughput_batch_size, int) else 1
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    images = images_to_time(items, size)
    deployment.detect([images[index % len(images)] for index in range(size)])


def images_to_time(items: Items, count: int, *, first: int = 0) -> list[Tensor]:
    """Decode `count` images of a split, as float32, as far as they fit in MAX_IMAGE_BYTES, but at least one.

    Args:
        items: the images of the split.
        count: how many; no image is decoded twice.
        first: the number of the first one; after the last image follows the split's first.
    """
    images: list[Tensor] = []
    total_bytes = 0
    for index in range(min(count, len(items))):
        image = as_float(items[(first + index) % len(items)].image)
        total_bytes += image.numel() * image.element_size()
        if images and total_bytes > MAX_IMAGE_BYTES:
            break
        images.append(image)
    return images


def summary(samples: Sequence[Sample]) -> Distribution:
    """Return the distribution of a pass' timings in seconds, over all its rounds."""
    return distribution([[sample.seconds for sample in round_] for round_ in stability.by_round(samples)])


def loader_bound(data_wait_fraction: float | None) -> tuple[MeasurementWarning, ...]:
    """Warn if training waited for data for more than a tenth of its time."""
    if data_wait_fraction is None or data_wait_fraction <= _MAX_WAIT:
        return ()
    reason = (
        f"training waited for data {data_wait_fraction:.0%} of its time; more loader_workers, or smaller images, help"
    )
    return (MeasurementWarning(name="loader_bound", reason=reason),)


def count_flops(model: nn.Module, run: timing.Run, image: Tensor) -> int | None:
    """Count the floating-point operations of one image; a multiply and an add are two (torch.utils.flop_counter).

    Convolutions and matrix products of the whole detector are counted, but not RoI align, NMS and elementwise work.

    Args:
        model: whose parameters no longer require gradients afterwards: where a module is called with a parameter
            itself, the counter would look for its gradients, which inference has none of.
        run: detects with the model.
        image: float32 [3, H, W] on the CPU.

    Returns:
        None where the counter fails, which is no reason to lose a trial that is trained.
    """
    model.requires_grad_(False)
    try:
        with FlopCounterMode(display=False) as counter:
            run([image])
    except Exception as error:
        if is_device_fault(error) or out_of_memory(error):
            raise
        log.warning("floating-point operations were not counted: %s: %s", type(error).__name__, error)
        return None
    return int(counter.get_total_flops())


def _latency(bench: Bench, deployment: Deployment, images: Sequence[Tensor], protocol: Protocol) -> Pass:
    """Alternate rounds of whole images with rounds of their phases, if the runtime exposes them."""
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
            warnings += stability.inconsistent_phases(medians, summary(whole).median)
        return warnings

    return bench.run_pass("latency", measure_once, judge)


def _phases(samples: Sequence[Sample]) -> Phases | None:
    by_name = {name: _named(samples, f"phase {name}") for name in NAMES}
    return Phases(**{name: summary(timings) for name, timings in by_name.items()}) if all(by_name.values()) else None


def _named(samples: Iterable[Sample], name: str) -> list[Sample]:
    return [sample for sample in samples if sample.name == name]


def _by_threshold(
    bench: Bench, deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, thresholds: Sequence[float]
) -> dict[float, tuple[Sample, ...]]:
    if not thresholds or deployment.detector is None:  # a built-in threshold would need an export for each
        return {}
    samples = timing.by_setting(
        thresholds,
        lambda threshold: deployment.set_threshold(threshold, protocol.detections),
        deployment.detect,
        images[:_THRESHOLD_IMAGES],
        name=lambda threshold: f"latency at {threshold:g}",
        stopwatch=bench.stopwatch(),
    )
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    return samples


def _throughput(
    bench: Bench, deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, device: torch.device
) -> tuple[int, Pass]:
    """Return the batch size and the pass with it.

    The size `auto` is halved if the whole pass needs more memory than the search for the size did.
    """
    size = _batch_size(deployment, images, protocol, device)
    while True:
        try:
            result = bench.run_pass(
                "throughput",
                partial(_throughput_once, deployment, images, protocol, size),
                stability.unstable_throughput,
            )
        except RuntimeError as error:
            if out_of_memory(error) is None or protocol.throughput_batch_size != "auto" or size == 1:
                raise
            size //= 2
            memory.free_unused(device)
        else:
            return size, result


def _throughput_once(
    deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, size: int, stopwatch: Stopwatch
) -> tuple[Sample, ...]:
    return timing.throughput(deployment.detect, images, protocol, size, stopwatch)


def _batch_size(deployment: Deployment, images: Sequence[Tensor], protocol: Protocol, device: torch.device) -> int:
    """Return the protocol's batch size, or for `auto` the largest power of two that fits; then free the memory."""
    if not deployment.batched:
        return 1
    if isinstance(protocol.throughput_batch_size, int):
        return protocol.throughput_batch_size
    # A batch is padded to its tallest and its widest image.
    largest = [max(images, key=lambda image: image.shape[1]), max(images, key=lambda image: image.shape[2])]
    try:
        return timing.largest_power_of_two(
            lambda size: _fits(deployment, largest, size, device), maximum=_MAX_BATCH[device.type]
        )
    finally:
        memory.reset_peak(device)


def _fits(deployment: Deployment, images: Sequence[Tensor], size: int, device: torch.device) -> bool:
    """Return whether a batch fits in memory.

    On a CPU, so that it does not swap, half the batch is run, and twice its memory must still be available.
    """
    if device.type == "cpu":
        memory.reset_peak(device)
        idle = memory.read_peak(device).peak_resident_bytes
        deployment.detect([images[index % len(images)] for index in range(size // 2)])
        peak, free = memory.read_peak(device).peak_resident_bytes, memory.available_bytes()
        return idle is None or peak is None or free is None or 2 * (peak - idle) < free
    try:
        deployment.detect([images[index % len(images)] for index in range(size)])
    except RuntimeError as error:  # out of memory, or more work than a kernel counts in 32 bits
        if is_device_fault(error):
            raise
        log.info("a batch of %d does not fit: %s", size, error)
        return False
    finally:
        memory.free_unused(device)
    return True


def _memory(run: timing.Run, items: Items, device: torch.device) -> MemoryPasses:
    """Measure the memory of inference on the first images, and on the one with most boxes; only these are in memory."""

    def peak(indices: Iterable[int]) -> Memory:
        batches = [as_float(items[index].image) for index in indices]
        memory.reset_peak(device)
        for image in batches:
            run([image])
        return memory.read_peak(device)

    inference = peak(range(min(_MEMORY_IMAGES, len(items))))
    if items.annotations is None:  # a user's Dataset has no annotations before it is read
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
    """Return the energy per image: the mean power of the whole pass times its timed seconds, divided by its images.

    The mean power includes the warm-up, because the energy counter is too coarse for single batches: it advances some
    ten times a second. None for a pass that is too short for it.
    """
    first, last = throughput.system_samples[0].joules, throughput.system_samples[-1].joules
    wall_s = throughput.system_samples[-1].at_s - throughput.system_samples[0].at_s
    if first is None or last is None or wall_s < _MIN_ENERGY_S:
        return None
    timed_s = sum(sample.seconds for sample in throughput.samples)
    images = sum(sample.images for sample in throughput.samples)
    return (last - first) * timed_s / wall_s / images
