"""What goes on around a pass: held-back clocks, and others on the same device. Looked at between two timed calls.

Owns the looks and the doubts that follow from them. The device is the GPU, or on a CPU the cores that this process may
use: there, what they do beyond this process' own work is load of others, a hypervisor's steal included.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.record import MeasurementWarning
from harness.trial.measure import nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

_MIN_CLOCK = 0.75  # of the default: the bound, far below what boost clocks wander by
_MAX_OTHERS = 0.10  # of the cores' time
_MAX_PAUSED = 0.01  # of the wall time
_MAX_SAMPLES = 0.10  # a single dip in a long training is no throttling
_SETTLED_S = 0.5  # counters advance in hundredths of a second: shorter passes tell too little


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSample:
    """One look around. None where the machine does not tell.

    Attributes:
        clock_fraction: of the default clock.
        throttle_reasons: why the device holds its clock back now.
        other_processes: processes on the GPU that are not ours.
        others_s: CPU time of others on our cores, since some moment.
        paused_s: time that a cgroup's quota held us back, since some moment.
        cores: how many are ours to use.
        joules: energy of the device, since some moment.
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
    """Looks around at the beginning of a pass, now and then during it, and at its end."""

    def __init__(
        self, sample_system: Callable[[], SystemSample], clock: Callable[[], int], *, every_s: float = 0.5
    ) -> None:
        self._sample_system, self._clock, self._every_s = sample_system, clock, every_s
        self.system_samples = [sample_system()]
        self._sampled_at_ns = clock()

    def sample_if_due(self) -> None:
        """Call between two timed calls."""
        if self._clock() - self._sampled_at_ns >= self._every_s * 1e9:
            self.system_samples.append(self._sample_system())
            self._sampled_at_ns = self._clock()

    def close(self) -> None:
        """Take the last look, right after the last call: the clock is still up, and the counters end here."""
        self.system_samples.append(self._sample_system())


def interference_warnings(system_samples: Sequence[SystemSample]) -> tuple[MeasurementWarning, ...]:
    """`throttled` and `shared_device`, where the looks of a pass show it, with the reason.

    Clocks are judged by all looks but the first, before which a device idles: more than a tenth of them must show it.
    """
    if not system_samples:
        return ()
    first, last, later = system_samples[0], system_samples[-1], system_samples[1:]
    wall_s = last.at_s - first.at_s
    long_enough = wall_s >= _SETTLED_S
    throttled, shared = [], []
    slow = [one.clock_fraction for one in later if one.clock_fraction is not None and one.clock_fraction < _MIN_CLOCK]
    if len(slow) > _MAX_SAMPLES * len(later):
        throttled.append(f"its clock fell to {min(slow):.0%} of the default")
    held = [one for one in later if one.throttle_reasons]
    if len(held) > _MAX_SAMPLES * len(later):
        reasons = dict.fromkeys(reason for one in held for reason in one.throttle_reasons)
        throttled.append(f"the device held its clock back: {', '.join(reasons)}")
    if first.paused_s is not None and last.paused_s is not None and long_enough:
        paused = (last.paused_s - first.paused_s) / (wall_s * first.cores)
        if paused > _MAX_PAUSED:
            throttled.append(f"the container's CPU quota paused it for {paused:.0%} of the time")
    other_processes = dict.fromkeys(pid for one in system_samples for pid in one.other_processes)
    if other_processes:
        shared.append(f"other processes were on the GPU: {', '.join(map(str, other_processes))}")
    if first.others_s is not None and last.others_s is not None and long_enough:
        others = (last.others_s - first.others_s) / (wall_s * first.cores)
        if others > _MAX_OTHERS:
            shared.append(f"others took {others:.0%} of the cores' time")
    warnings = [("throttled", throttled), ("shared_device", shared)]
    return tuple(MeasurementWarning(name=name, reason=", ".join(found)) for name, found in warnings if found)


def sample_system(device: torch.device) -> SystemSample:
    """The device as it is now."""
    card = nvml.gpu(device)
    if device.type == "cuda":
        if card is None:
            return SystemSample(at_s=time.monotonic())
        return SystemSample(
            at_s=time.monotonic(),
            clock_fraction=card.clock_fraction(),
            throttle_reasons=card.throttle_reasons(),
            other_processes=nvml.other_processes(card.processes()),
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
    """Seconds that these cores were busy, less this process' own."""
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
    """Of cgroup 2's cpu.stat."""
    stat = Path("/sys/fs/cgroup/cpu.stat")
    found = re.search(r"throttled_usec (\d+)", stat.read_text()) if stat.exists() else None
    return int(found.group(1)) / 1e6 if found else None


def _cpu_clock_fraction(cores: Sequence[int]) -> float | None:
    """Of the fastest core now (the others may idle), over its base frequency, where the kernel tells both."""
    shares = []
    for core in cores:
        folder = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq")
        now, base = folder / "scaling_cur_freq", folder / "base_frequency"
        if now.exists() and base.exists():
            shares.append(int(now.read_text()) / int(base.read_text()))
    return max(shares, default=None)
