"""The timed passes: what is timed, in which order, and how often.

Timed are the copy to the device, the model's own resize and normalisation, forward, non-maximum suppression and the
boxes' way back to the CPU, with the device synchronised before and after. Not timed are reading and decoding the image,
the warm-up, and `beat`. The clock is `time.perf_counter_ns`. Nothing is clipped; every sample is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from harness.suite.schema import Protocol

T = TypeVar("T")

Run = Callable[[Sequence["Tensor"]], object]
_MIN_BATCHES = 3


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """Times calls.

    Attributes:
        synchronize: waits until the device has finished its work.
        clock: returns the time in nanoseconds.
        beat: called between two timed calls, to report progress and sample the system.
    """

    synchronize: Callable[[], None] = _nothing
    clock: Callable[[], int] = time.perf_counter_ns
    beat: Callable[[], None] = _nothing

    def seconds(self, run: Run, batch: Sequence[Tensor]) -> float:
        """Return the wall time of one call in seconds; the device is synchronised before and after it."""
        self.synchronize()
        started = self.clock()
        run(batch)
        self.synchronize()
        return (self.clock() - started) * 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timing.

    Attributes:
        name: the name of the pass or phase.
        round: the number of the round, from 1.
        index: the number of the first image in the split.
        images: the number of images.
        seconds: the wall time for all these images.
        repeat: the number of the pass' repetition; 0 for its first run.
    """

    name: str
    round: int
    index: int
    images: int
    seconds: float
    repeat: int = 0


def warm_up(
    run: Run, batches: Sequence[Sequence[Tensor]], *, min_batches: int, beat: Callable[[], None] = _nothing
) -> None:
    """Run every distinct combination of input shapes once, and at least `min_batches` batches."""
    shapes: dict[tuple[tuple[int, ...], ...], Sequence[Tensor]] = {}
    for batch in batches:
        shapes.setdefault(tuple(tuple(image.shape) for image in batch), batch)
    for batch in shapes.values():
        run(batch)
        beat()
    for index in range(max(0, min_batches - len(shapes))):
        run(batches[index % len(batches)])
        beat()


def latency(
    run: Run,
    images: Sequence[Tensor],
    protocol: Protocol,
    stopwatch: Stopwatch,
    *,
    after_round: Callable[[int], Sequence[Sample]] = lambda _number: (),
) -> tuple[Sample, ...]:
    """Time single images, in rounds over the same images.

    Each round times at least the protocol's number of images, and its fraction of the protocol's seconds.

    Args:
        run: runs the model on a batch of images.
        images: decoded images, float32 [3, H, W] each.
        protocol: the measurement protocol.
        stopwatch: times the calls.
        after_round: called with the number of the round that ended; may return further samples.
    """
    warm_up(run, [[image] for image in images], min_batches=protocol.warmup, beat=stopwatch.beat)
    samples: list[Sample] = []
    for number in range(1, protocol.rounds + 1):
        position, total_s = 0, 0.0
        while position < protocol.latency_images or total_s < protocol.latency_s / protocol.rounds:
            index = position % len(images)
            seconds = stopwatch.seconds(run, [images[index]])
            samples.append(Sample(name="latency", round=number, index=index, images=1, seconds=seconds))
            total_s += seconds
            position += 1
            stopwatch.beat()
        samples += after_round(number)
    return tuple(samples)


def throughput(
    run: Run, images: Sequence[Tensor], protocol: Protocol, size: int, stopwatch: Stopwatch
) -> tuple[Sample, ...]:
    """Time batches of `size` images, in rounds over the same batches.

    Each round times every image at least once, and its fraction of the protocol's seconds; all rounds together time at
    least three batches.
    """
    starts = range(0, len(images), size)
    batches = [[images[(start + offset) % len(images)] for offset in range(size)] for start in starts]
    warm_up(run, batches, min_batches=1, beat=stopwatch.beat)
    samples: list[Sample] = []
    min_batches = max(len(batches), -(-_MIN_BATCHES // protocol.rounds))
    for number in range(1, protocol.rounds + 1):
        position, total_s = 0, 0.0
        while position < min_batches or total_s < protocol.throughput_s / protocol.rounds:
            batch = position % len(batches)
            seconds = stopwatch.seconds(run, batches[batch])
            samples.append(Sample(name="throughput", round=number, index=starts[batch], images=size, seconds=seconds))
            total_s += seconds
            position += 1
            stopwatch.beat()
    return tuple(samples)


def images_per_s(samples: Sequence[Sample]) -> float:
    """Return the images per second over all timed batches."""
    return sum(sample.images for sample in samples) / sum(sample.seconds for sample in samples)


def by_setting(
    settings: Sequence[T],
    set_to: Callable[[T], None],
    run: Run,
    images: Sequence[Tensor],
    *,
    name: Callable[[T], str],
    stopwatch: Stopwatch,
) -> dict[T, tuple[Sample, ...]]:
    """Time each image with each setting in turn, so that a drift of the machine affects all settings alike.

    The model must be warmed up.

    Args:
        settings: the settings to compare.
        set_to: applies a setting to the model.
        run: runs the model on a batch of images.
        images: decoded images, float32 [3, H, W] each.
        name: returns the name of a setting's samples.
        stopwatch: times the calls.
    """
    samples_of: dict[T, list[Sample]] = {setting: [] for setting in settings}
    for setting in settings:
        set_to(setting)
        run([images[0]])
    for index, image in enumerate(images):
        for setting in settings:
            set_to(setting)
            seconds = stopwatch.seconds(run, [image])
            samples_of[setting].append(Sample(name=name(setting), round=1, index=index, images=1, seconds=seconds))
            stopwatch.beat()
    return {setting: tuple(samples) for setting, samples in samples_of.items()}


def largest_power_of_two(fits: Callable[[int], bool], *, maximum: int) -> int:
    """Return the largest power of two up to `maximum` for which `fits` is true, by doubling; 1 if none is."""
    size = 1
    while size * 2 <= maximum and fits(size * 2):
        size *= 2
    return size
