"""Repeat a pass while it has warnings, at most twice; the last repetition counts, with its warnings."""

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
    """The result of a pass.

    Attributes:
        samples: the samples of the last repetition, which counts.
        all_samples: the samples of all repetitions.
        system_samples: the state of the system during the last repetition.
        warnings: the warnings about the last repetition.
        repeats: the number of repetitions after the first run.
    """

    samples: tuple[Sample, ...]
    all_samples: tuple[Sample, ...]
    system_samples: tuple[SystemSample, ...]
    warnings: tuple[MeasurementWarning, ...]
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The functions that every pass needs.

    Attributes:
        synchronize: waits until the device has finished its work.
        sample_system: samples the state of the system.
        beat: called between two timed calls, outside the timed code, to report progress.
        clock: returns the time in nanoseconds.
    """

    synchronize: Callable[[], None]
    sample_system: Callable[[], SystemSample]
    beat: Callable[[], None] = lambda: None
    clock: Callable[[], int] = time.perf_counter_ns

    @classmethod
    def on(cls, device: torch.device, beat: Callable[[], None]) -> Bench:
        """Return the bench of a device; `beat` is called between two timed calls."""
        synchronize = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
        return cls(synchronize=synchronize, sample_system=partial(interference.sample_system, device), beat=beat)

    def stopwatch(self, between: Callable[[], None] = lambda: None) -> Stopwatch:
        """Return a stopwatch for one pass; `between` is called after each `beat`."""

        def on_beat() -> None:
            self.beat()
            between()

        return Stopwatch(synchronize=self.synchronize, clock=self.clock, beat=on_beat)

    def run_pass(self, name: str, measure_once: Callable[[Stopwatch], tuple[Sample, ...]], judge: Judge) -> Pass:
        """Run a pass, and repeat it while it has warnings, at most twice.

        Args:
            name: the pass' name, for the warnings.
            measure_once: runs the pass once with a stopwatch, and returns its samples.
            judge: returns the warnings about a run's samples.
        """
        all_samples: list[Sample] = []
        for repeat in range(_MAX_REPEATS + 1):
            monitor = interference.SystemMonitor(self.sample_system, self.clock)
            samples = tuple(
                replace(sample, repeat=repeat) for sample in measure_once(self.stopwatch(monitor.sample_if_due))
            )
            monitor.close()
            all_samples += samples
            warnings = (*judge(samples), *interference.interference_warnings(monitor.system_samples))
            if not warnings:
                break
        repeats = f" (taken {repeat + 1} times)" if repeat else ""
        return Pass(
            samples=samples,
            all_samples=tuple(all_samples),
            system_samples=tuple(monitor.system_samples),
            warnings=tuple(replace(warning, reason=f"{name}: {warning.reason}{repeats}") for warning in warnings),
            repeats=repeat,
        )


def merge_warnings(warnings: Iterable[MeasurementWarning]) -> tuple[MeasurementWarning, ...]:
    """Merge warnings of the same name into one that has each reason once."""
    reasons: dict[str, dict[str, None]] = {}
    for warning in warnings:
        reasons.setdefault(warning.name, {})[warning.reason] = None
    return tuple(MeasurementWarning(name=name, reason="; ".join(texts)) for name, texts in reasons.items())
