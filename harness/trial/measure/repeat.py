"""A pass that is taken again while there are doubts, at most twice; the last one stands, with its doubts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from harness.store.record import MeasurementWarning
from harness.trial.measure import interference
from harness.trial.measure.timing import Sample, Stopwatch

if TYPE_CHECKING:
    from harness.trial.measure.interference import SystemSample

_MAX_REPEATS = 2

Judge = Callable[[Sequence[Sample]], tuple[MeasurementWarning, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A pass as it stands: the samples of its last repetition, those of all, and the looks around during the last."""

    samples: tuple[Sample, ...]
    all_samples: tuple[Sample, ...]
    system_samples: tuple[SystemSample, ...]
    warnings: tuple[MeasurementWarning, ...]
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every pass needs.

    Attributes:
        synchronize: wait until the device has finished all it was given.
        look: take a look around.
        beat: called between two timed calls, outside of the clock: a sign of progress.
        clock: in nanoseconds.
    """

    synchronize: Callable[[], None]
    sample_system: Callable[[], SystemSample]
    beat: Callable[[], None] = lambda: None
    clock: Callable[[], int] = time.perf_counter_ns

    @classmethod
    def on(cls, device: torch.device, beat: Callable[[], None]) -> Bench:
        """A real one."""
        synchronize = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
        return cls(synchronize=synchronize, sample_system=partial(interference.sample_system, device), beat=beat)

    def stopwatch(self, between: Callable[[], None] = lambda: None) -> Stopwatch:
        """For one pass; `between` is called where `beat` is."""

        def both() -> None:
            self.beat()
            between()

        return Stopwatch(synchronize=self.synchronize, clock=self.clock, beat=both)

    def run_pass(self, name: str, measure_once: Callable[[Stopwatch], tuple[Sample, ...]], judge: Judge) -> Pass:
        """Run a pass, again while there are doubts, at most twice; then keep it with them."""
        every: list[Sample] = []
        for repeat in range(_MAX_REPEATS + 1):
            watch = interference.SystemMonitor(self.sample_system, self.clock)
            samples = tuple(
                replace(sample, repeat=repeat) for sample in measure_once(self.stopwatch(watch.sample_if_due))
            )
            watch.close()
            every += samples
            warnings = (*judge(samples), *interference.interference_warnings(watch.system_samples))
            if not warnings:
                break
        again = f" (taken {repeat + 1} times)" if repeat else ""
        return Pass(
            samples=samples,
            all_samples=tuple(every),
            system_samples=tuple(watch.system_samples),
            warnings=tuple(replace(warning, reason=f"{name}: {warning.reason}{again}") for warning in warnings),
            repeats=repeat,
        )


def merged(warnings: Iterable[MeasurementWarning]) -> tuple[MeasurementWarning, ...]:
    """One flag of each name, with every reason once."""
    reasons: dict[str, dict[str, None]] = {}
    for warning in warnings:
        reasons.setdefault(warning.name, {})[warning.reason] = None
    return tuple(MeasurementWarning(name=name, reason="; ".join(found)) for name, found in reasons.items())
