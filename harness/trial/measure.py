"""Speed, memory and size of a fine-tuned model, each in a pass of its own.

Latency is batch 1 over real images decoded beforehand. Inside the clock: the copy to the device, the model's own
resize and normalisation, forward, non-maximum suppression, boxes back on the CPU, the device synchronised at both
edges. Outside: reading and decoding the image.

Throughput is images ÷ wall time at a fixed batch size, never 1 ÷ latency.
The clock is `time.perf_counter_ns`. Nothing is clipped; every sample is kept.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.store.record import Distribution, Flag, Memory, distribution
from harness.trial.evaluate import detect
from harness.trial.models import build

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.suite.spec import Protocol
    from harness.trial.dataset import Items

log = logging.getLogger(__name__)

MOST_IMAGE_BYTES = 2**30  # of decoded images held for timing; a split larger than that is timed on its first images
_LEAST_BATCHES = 3
_MEMORY_IMAGES = 20
_UNSTABLE_SD = 0.10  # of the mean
_UNSTABLE_ROUNDS = 0.07  # of the smallest round median

Beat = Callable[[], None]
Clock = Callable[[], int]
Run = Callable[[Sequence["Tensor"]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timing. `index` is the image's (latency) or the first image's (throughput); `seconds` is for all `images`."""

    name: str
    round: int
    index: int
    images: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one pass after another found; units are the record's."""

    samples: tuple[Sample, ...]
    latency: Distribution
    throughput: float
    memory: Memory
    flops: int


def measure_model(
    model: nn.Module,
    items: Items,
    protocol: Protocol,
    *,
    architecture: str,
    precision: str,
    device: torch.device,
    beat: Beat = lambda: None,
) -> Measured:
    """Latency, throughput, memory and operations, each in its own pass, at the deployment's score threshold.

    Args:
        beat: called between two measured calls, outside of the clock: a sign of progress.

    Raises:
        DataError: an image cannot be read.
    """
    model.eval()
    build.set_postprocessing(
        model, architecture, score_threshold=protocol.deployment_score_threshold, detections=protocol.detections
    )

    def run(images: Sequence[Tensor]) -> object:
        return detect(model, images, device=device, precision=precision)

    def synchronize() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    images = images_to_time(items, protocol.latency_images)
    clock = time.perf_counter_ns
    latency = time_latency(run, images, protocol, synchronize=synchronize, clock=clock, beat=beat)
    batched = time_throughput(run, images, protocol, synchronize=synchronize, clock=clock, beat=beat)
    free_unused(device)
    reset_peak(device)
    for image in images[:_MEMORY_IMAGES]:
        run([image])
    memory = read_peak(device)
    rounds = [[s.seconds for s in latency if s.round == number] for number in range(1, protocol.rounds + 1)]
    return Measured(
        samples=latency + batched,
        latency=distribution(rounds),
        throughput=throughput(batched),
        memory=memory,
        flops=count_flops(run, images[0]),
    )


def run_batch(
    model: nn.Module, items: Items, protocol: Protocol, *, architecture: str, precision: str, device: torch.device
) -> None:
    """One batch as `time_throughput` runs it, unmeasured: does it fit in memory?"""
    model.eval()
    build.set_postprocessing(
        model, architecture, score_threshold=protocol.deployment_score_threshold, detections=protocol.detections
    )
    images = images_to_time(items, protocol.throughput_batch_size)
    size = protocol.throughput_batch_size
    detect(model, [images[index % len(images)] for index in range(size)], device=device, precision=precision)


def images_to_time(items: Items, count: int) -> list[Tensor]:
    """The first `count` images of a split, decoded, within MOST_IMAGE_BYTES; at least one."""
    images: list[Tensor] = []
    held = 0
    for index in range(min(count, len(items))):
        image = items[index].image
        held += image.numel() * image.element_size()
        if images and held > MOST_IMAGE_BYTES:
            break
        images.append(image)
    return images


def warm_up(run: Run, batches: Sequence[Sequence[Tensor]], *, least: int, beat: Beat = lambda: None) -> None:
    """Run every distinct combination of input shapes once, and at least `least` batches."""
    shapes: dict[tuple[tuple[int, ...], ...], Sequence[Tensor]] = {}
    for batch in batches:
        shapes.setdefault(tuple(tuple(image.shape) for image in batch), batch)
    for batch in shapes.values():
        run(batch)
        beat()
    for index in range(max(0, least - len(shapes))):
        run(batches[index % len(batches)])
        beat()


def time_latency(
    run: Run,
    images: Sequence[Tensor],
    protocol: Protocol,
    *,
    synchronize: Callable[[], None],
    clock: Clock,
    beat: Beat = lambda: None,
) -> tuple[Sample, ...]:
    """Time image by image, in rounds over the same images; each has the protocol's images and its share of seconds."""
    warm_up(run, [[image] for image in images], least=protocol.warmup, beat=beat)
    samples: list[Sample] = []
    for number in range(1, protocol.rounds + 1):
        position, spent = 0, 0.0
        while position < protocol.latency_images or spent < protocol.latency_s / protocol.rounds:
            index = position % len(images)
            seconds = _timed(run, [images[index]], synchronize, clock)
            samples.append(Sample(name="latency", round=number, index=index, images=1, seconds=seconds))
            spent += seconds
            position += 1
            beat()
    return tuple(samples)


def time_throughput(
    run: Run,
    images: Sequence[Tensor],
    protocol: Protocol,
    *,
    synchronize: Callable[[], None],
    clock: Clock,
    beat: Beat = lambda: None,
) -> tuple[Sample, ...]:
    """Time batches of a fixed size until each image was used, three batches ran and the protocol's seconds passed."""
    size = protocol.throughput_batch_size
    starts = range(0, len(images), size)
    batches = [[images[(start + offset) % len(images)] for offset in range(size)] for start in starts]
    warm_up(run, batches, least=1, beat=beat)
    samples: list[Sample] = []
    spent = 0.0
    while len(samples) < max(_LEAST_BATCHES, len(batches)) or spent < protocol.throughput_s:
        number = len(samples) % len(batches)
        seconds = _timed(run, batches[number], synchronize, clock)
        samples.append(Sample(name="throughput", round=1, index=starts[number], images=size, seconds=seconds))
        spent += seconds
        beat()
    return tuple(samples)


def throughput(samples: Sequence[Sample]) -> float:
    """Images per second over all timed batches."""
    return sum(sample.images for sample in samples) / sum(sample.seconds for sample in samples)


def instability(statistics: Distribution) -> tuple[Flag, ...]:
    """The flag `unstable` where the spread makes the median doubtful, with the reason."""
    reasons = []
    share = statistics.sd / statistics.mean
    if share >= _UNSTABLE_SD:
        reasons.append(f"latency's sd is {share:.0%} of its mean")
    apart = max(statistics.round_medians) / min(statistics.round_medians) - 1
    if apart > _UNSTABLE_ROUNDS:
        reasons.append(f"the medians of its rounds lie {apart:.0%} apart")
    return (Flag(name="unstable", reason="; ".join(reasons)),) if reasons else ()


def count_flops(run: Run, image: Tensor) -> int:
    """Floating-point operations of one image, a multiply and an add counted as two (torch.utils.flop_counter).

    Counted are convolutions and matrix products of the whole detector; not RoI align, NMS and elementwise work.
    """
    with FlopCounterMode(display=False) as counter:
        run([image])
    return int(counter.get_total_flops())


def free_unused(device: torch.device) -> None:
    """Give memory that nothing uses any more back, so that the next pass does not count it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed pages, and they would count as resident
    if trim is not None:
        trim(0)


def reset_peak(device: torch.device) -> None:
    """Start a memory pass: the peaks become what is in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    peak = Path("/proc/self/clear_refs")
    try:
        peak.write_text("5")  # proc(5): resets the peak resident set size
    except OSError as error:
        log.warning("%s: %s: memory peaks include what ran before", peak, error)


def read_peak(device: torch.device) -> Memory:
    """The peaks since `reset_peak`. Where the system has no such counter, None."""
    if device.type == "cuda":
        return Memory(
            peak_allocated_bytes=torch.cuda.max_memory_allocated(device),
            peak_reserved_bytes=torch.cuda.max_memory_reserved(device),
            peak_resident_bytes=None,
        )
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return Memory(
        peak_allocated_bytes=None,
        peak_reserved_bytes=None,
        peak_resident_bytes=int(found.group(1)) * 1024 if found else None,
    )


def larger(first: Memory, second: Memory) -> Memory:
    """The peaks of two passes together."""

    def most(a: int | None, b: int | None) -> int | None:
        return b if a is None else a if b is None else max(a, b)

    return Memory(
        peak_allocated_bytes=most(first.peak_allocated_bytes, second.peak_allocated_bytes),
        peak_reserved_bytes=most(first.peak_reserved_bytes, second.peak_reserved_bytes),
        peak_resident_bytes=most(first.peak_resident_bytes, second.peak_resident_bytes),
    )


def _timed(run: Run, batch: Sequence[Tensor], synchronize: Callable[[], None], clock: Clock) -> float:
    synchronize()
    started = clock()
    run(batch)
    synchronize()
    return (clock() - started) * 1e-9
