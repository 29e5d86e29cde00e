"""A clock that only moves when told, and a device that works asynchronously: every sample is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.suite.schema import Protocol
from harness.trial.measure.interference import SystemSample
from harness.trial.measure.timing import Stopwatch

LAUNCH_NS = 1000  # until an asynchronous call returns


class Device:
    """Runs calls that take the scheduled seconds, in order, over and over; asynchronous: only `synchronize` waits."""

    def __init__(self, seconds: Sequence[float] | Callable[[int], float], *, asynchronous: bool = True) -> None:
        self.now = 0
        self.busy_until = 0
        self.calls: list[tuple[tuple[int, ...], ...]] = []
        self._asynchronous = asynchronous
        self._seconds = seconds if callable(seconds) else lambda call: seconds[call % len(seconds)]

    def run(self, images: Sequence[Tensor]) -> tuple[()]:
        seconds = self._seconds(len(self.calls))
        self.calls.append(tuple(tuple(image.shape) for image in images))
        self.now += LAUNCH_NS
        self.busy_until = max(self.now, self.busy_until) + round(seconds * 1e9)
        if not self._asynchronous:
            self.synchronize()
        return ()

    def synchronize(self) -> None:
        self.now = max(self.now, self.busy_until)

    def clock(self) -> int:
        return self.now

    def sample_system(self) -> SystemSample:
        return SystemSample(at_s=self.now * 1e-9)

    def stopwatch(self) -> Stopwatch:
        return Stopwatch(synchronize=self.synchronize, clock=self.clock)


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    """Black images of these heights and widths."""
    return [torch.zeros(3, *size) for size in sizes]


def make_protocol(**changes: Any) -> Protocol:
    """The quick one, in three rounds of twenty images."""
    quick = {"rounds": 3, "warmup": 10, "latency_images": 20, "latency_s": 0.0, "throughput_s": 0.0}
    return Protocol(**{**quick, **changes})
