"""The timed passes: what lies inside the clock, in which order, and how often.

Inside the clock: the copy to the device, the model's own resize and normalisation, forward, non-maximum suppression,
boxes back on the CPU, the device synchronised at both edges. Outside: reading and decoding the image, warm-up, and
whatever `beat` does. The clock is `time.perf_counter_ns`. Nothing is clipped; every sample is kept.
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
    """How a call is timed.

    Attributes:
        synchronize: wait until the device has finished all it was given.
        beat: called between two calls, outside of the clock: a sign of progress, a look around.
    """

    synchronize: Callable[[], None] = _nothing
    clock: Callable[[], int] = time.perf_counter_ns
    beat: Callable[[], None] = _nothing

    def seconds(self, run: Run, batch: Sequence[Tensor]) -> float:
        """Wall time of one call, the device idle before it and finished after it."""
        self.synchronize()
        started = self.clock()
        run(batch)
        self.synchronize()
        return (self.clock() - started) * 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timing: `seconds` for all `images`, of which `index` is the first, by its place in the split.

    `repeat` counts how often the pass was taken again: 0 the first time.
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
    """Time image by image, in rounds over the same images; each has the protocol's images and its share of seconds.

    Args:
        after_round: given the number of the round that is over; may add samples of its own before the next.
    """
    warm_up(run, [[image] for image in images], min_batches=protocol.warmup, beat=stopwatch.beat)
    samples: list[Sample] = []
    for number in range(1, protocol.rounds + 1):
        position, spent = 0, 0.0
        while position < protocol.latency_images or spent < protocol.latency_s / protocol.rounds:
            index = position % len(images)
            seconds = stopwatch.seconds(run, [images[index]])
            samples.append(Sample(name="latency", round=number, index=index, images=1, seconds=seconds))
            spent += seconds
            position += 1
            stopwatch.beat()
        samples += after_round(number)
    return tuple(samples)


def throughput(
    run: Run, images: Sequence[Tensor], protocol: Protocol, size: int, stopwatch: Stopwatch
) -> tuple[Sample, ...]:
    """Time batches of `size`, in rounds over the same ones: every image, three batches, and the protocol's seconds."""
    starts = range(0, len(images), size)
    batches = [[images[(start + offset) % len(images)] for offset in range(size)] for start in starts]
    warm_up(run, batches, min_batches=1, beat=stopwatch.beat)
    samples: list[Sample] = []
    min_batches = max(len(batches), -(-_MIN_BATCHES // protocol.rounds))
    for number in range(1, protocol.rounds + 1):
        position, spent = 0, 0.0
        while position < min_batches or spent < protocol.throughput_s / protocol.rounds:
            batch = position % len(batches)
            seconds = stopwatch.seconds(run, batches[batch])
            samples.append(Sample(name="throughput", round=number, index=starts[batch], images=size, seconds=seconds))
            spent += seconds
            position += 1
            stopwatch.beat()
    return tuple(samples)


def images_per_s(samples: Sequence[Sample]) -> float:
    """Over all timed batches."""
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
    """Time each image under each setting in turn, so that whatever drifts meanwhile drifts for all of them.

    The model is warm.
    """
    found: dict[T, list[Sample]] = {setting: [] for setting in settings}
    for setting in settings:
        set_to(setting)
        run([images[0]])
    for index, image in enumerate(images):
        for setting in settings:
            set_to(setting)
            seconds = stopwatch.seconds(run, [image])
            found[setting].append(Sample(name=name(setting), round=1, index=index, images=1, seconds=seconds))
            stopwatch.beat()
    return {setting: tuple(samples) for setting, samples in found.items()}


def largest_power_of_two(fits: Callable[[int], bool], *, maximum: int) -> int:
    """The largest power of two up to `maximum` that `fits`, found by doubling; 1 where not even one fits."""
    size = 1
    while size * 2 <= maximum and fits(size * 2):
        size *= 2
    return size
