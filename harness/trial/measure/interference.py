"""Detect interference with a pass: throttled clocks, and other processes on the same device.

Owns the samples of the system's state, which are taken between two timed calls, and the warnings that follow from them.
The device is the GPU or, on a CPU, the cores that this process may use: whatever these cores do beyond the work of this
process counts as load from others, including time that a hypervisor steals.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.record import MeasurementWarning
from harness.trial.measure import nvml, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

_MIN_CLOCK = 0.75  # fraction of the default clock; far below the usual variation of boost clocks
_MAX_OTHERS = 0.10  # fraction of the cores' time
_MAX_PAUSED = 0.01  # fraction of the wall time
_MAX_SAMPLES = 0.10  # fraction of the samples: a single dip in a long training is no throttling
_MIN_WALL_S = 0.5  # counters advance in hundredths of a second, which is too coarse for shorter passes


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSample:
    """The state of the system at one moment. A field is None if the machine does not report it.

    Attributes:
        at_s: the time of a monotonic clock.
        clock_fraction: the device's clock as a fraction of its default clock.
        throttle_reasons: why the device limits its clock now.
        other_processes: the ids of processes on the GPU that do not belong to this trial.
        others_s: CPU time of other processes on this process' cores, counted from an arbitrary moment.
        paused_s: time for which a cgroup's quota paused this process, counted from an arbitrary moment.
        cores: the number of cores that this process may use.
        joules: energy that the device used, counted from an arbitrary moment.
    """

    at_s: float
    clock_fraction: float | None = None
    throttle_reasons: tuple[str, ...] = ()
    other_processes: tuple[int, ...] = ()
    others_s: float | None = None
    paused_s: float | None = None
    cores: int = 1
    joules: float | None = None


class SystemMonitor:
    """Samples the system at the beginning of a pass, at intervals during it, and at its end."""

    def __init__(
        self, sample_system: Callable[[], SystemSample], clock: Callable[[], int], *, every_s: float = 0.5
    ) -> None:
        self._sample_system, self._clock, self._every_s = sample_system, clock, every_s
        self.system_samples = [sample_system()]
        self._sampled_at_ns = clock()

    def sample_if_due(self) -> None:
        """Take a sample if the interval has passed; call this between two timed calls."""
        if self._clock() - self._sampled_at_ns >= self._every_s * 1e9:
            self.system_samples.append(self._sample_system())
            self._sampled_at_ns = self._clock()

    def close(self) -> None:
        """Take the last sample; call this right after the last timed call, while the clock is still high."""
        self.system_samples.append(self._sample_system())


def interference_warnings(system_samples: Sequence[SystemSample]) -> tuple[MeasurementWarning, ...]:
    """Return the warnings `throttled` and `shared_device` that the samples of a pass justify, with their reasons.

    The first sample is ignored for clocks, because the device idles before it. More than a tenth of the other samples
    must show a low clock.
    """
    if not system_samples:
        return ()
    first, last, later = system_samples[0], system_samples[-1], system_samples[1:]
    wall_s = last.at_s - first.at_s
    long_enough = wall_s >= _MIN_WALL_S
    throttled, shared = [], []
    fractions = [sample.clock_fraction for sample in later if sample.clock_fraction is not None]
    low = [fraction for fraction in fractions if fraction < _MIN_CLOCK]
    if len(low) > _MAX_SAMPLES * len(later):
        throttled.append(f"its clock fell to {min(low):.0%} of the default")
    limited = [sample for sample in later if sample.throttle_reasons]
    if len(limited) > _MAX_SAMPLES * len(later):
        reasons = dict.fromkeys(reason for sample in limited for reason in sample.throttle_reasons)
        throttled.append(f"the device limited its clock: {', '.join(reasons)}")
    if first.paused_s is not None and last.paused_s is not None and long_enough:
        paused = (last.paused_s - first.paused_s) / (wall_s * first.cores)
        if paused > _MAX_PAUSED:
            throttled.append(f"the container's CPU quota paused it for {paused:.0%} of the time")
    other_processes = dict.fromkeys(pid for sample in system_samples for pid in sample.other_processes)
    if other_processes:
        shared.append(f"other processes were on the GPU: {', '.join(map(str, other_processes))}")
    if first.others_s is not None and last.others_s is not None and long_enough:
        others = (last.others_s - first.others_s) / (wall_s * first.cores)
        if others > _MAX_OTHERS:
            shared.append(f"other processes took {others:.0%} of the cores' time")
    warnings = [("throttled", throttled), ("shared_device", shared)]
    return tuple(MeasurementWarning(name=name, reason=", ".join(reasons)) for name, reasons in warnings if reasons)


def sample_system(device: torch.device) -> SystemSample:
    """Sample the state of the device now."""
    card = nvml.gpu(device)
    if device.type == "cuda":
        if card is None:
            return SystemSample(at_s=time.monotonic())
        return SystemSample(
            at_s=time.monotonic(),
            clock_fraction=card.clock_fraction(),
            throttle_reasons=card.throttle_reasons(),
            other_processes=ours.ours().strangers(card.processes()),
            joules=card.joules(),
        )
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return SystemSample(
        at_s=time.monotonic(),
        clock_fraction=_cpu_clock_fraction(cores),
        others_s=_others_s(cores),
        paused_s=_paused_s(),
        cores=max(1, len(cores)),
    )


def _others_s(cores: Sequence[int]) -> float | None:
    """Return the seconds for which these cores were busy with anything but this process."""
    stat = Path("/proc/stat")
    if not stat.exists() or not cores:
        return None
    ticks = 0
    for line in stat.read_text().splitlines():
        name, *values = line.split()
        if name.removeprefix("cpu").isdigit() and int(name.removeprefix("cpu")) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, values[:8])  # proc(5)
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


def _paused_s() -> float | None:
    """Return the seconds for which the quota of a version 2 cgroup paused this process, from its cpu.stat."""
    stat = Path("/sys/fs/cgroup/cpu.stat")
    match = re.search(r"throttled_usec (\d+)", stat.read_text()) if stat.exists() else None
    return int(match.group(1)) / 1e6 if match else None


def _cpu_clock_fraction(cores: Sequence[int]) -> float | None:
    """Return the current clock of the fastest core (others may idle) as a fraction of its base frequency.

    None if the kernel does not report both.
    """
    fractions = []
    for core in cores:
        folder = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq")
        now, base = folder / "scaling_cur_freq", folder / "base_frequency"
        if now.exists() and base.exists():
            fractions.append(int(now.read_text()) / int(base.read_text()))
    return max(fractions, default=None)
