"""Peak memory of a pass: the counters are reset before it and read after it.

Training and inference are never measured in the same pass.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import logging
import re
from dataclasses import fields
from pathlib import Path

import torch

from harness.store.record import Memory
from harness.trial.measure import nvml, ours

log = logging.getLogger(__name__)

_CGROUP = Path("/sys/fs/cgroup")  # where a container sees its own cgroup, version 2
NO_MEMORY = Memory(peak_allocated_bytes=None, peak_reserved_bytes=None, peak_resident_bytes=None)


def freeze_modules() -> None:
    """Leave what is imported out of garbage collection, so that `free_unused` does not search a million objects."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # or some of torch's libraries complain of what they find left at the end


def free_unused(device: torch.device) -> None:
    """Release memory that is no longer used, so that the next pass does not count it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed pages, which would count as resident
    if trim is not None:
        trim(0)


def reset_peak(device: torch.device) -> None:
    """Start a memory pass: release what is no longer used, and set the peak counters to the memory in use now.

    What earlier work left in torch's cache is reserved memory, and would count as that of the pass.
    """
    free_unused(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    peak = Path("/proc/self/clear_refs")
    try:
        peak.write_text("5")  # proc(5): resets the peak resident set size
    except OSError as error:
        log.warning("%s: %s: memory peaks include what ran before", peak, error)


def read_peak(device: torch.device) -> Memory:
    """Return the peaks since `reset_peak`; a field is None if the system has no such counter.

    The driver has no peak counter, but torch's allocator releases nothing within a pass, so it holds most at its end.
    """
    if device.type == "cuda":
        card = nvml.gpu(device)
        return Memory(
            peak_allocated_bytes=torch.cuda.max_memory_allocated(device),
            peak_reserved_bytes=torch.cuda.max_memory_reserved(device),
            peak_resident_bytes=None,
            peak_driver_bytes=None if card is None else ours.ours().memory_bytes(card.processes()),
        )
    status = Path("/proc/self/status")
    match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return Memory(
        peak_allocated_bytes=None,
        peak_reserved_bytes=None,
        peak_resident_bytes=int(match.group(1)) * 1024 if match else None,
    )


def available_bytes() -> int | None:
    """Return the memory that can be allocated without swapping: the machine's, or this process' cgroup's if less."""
    meminfo = Path("/proc/meminfo")
    match = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    machine_bytes = int(match.group(1)) * 1024 if match else None
    limit, used = cgroup_limit_bytes(), _number(_CGROUP / "memory.current")
    if limit is None or used is None:
        return machine_bytes
    statistics = _CGROUP / "memory.stat"
    cached = re.search(r"^inactive_file (\d+)$", statistics.read_text() if statistics.exists() else "", re.MULTILINE)
    # Files that the kernel keeps in memory count as used, and make room for whoever needs it.
    cgroup_bytes = max(0, limit - used + (int(cached[1]) if cached else 0))
    return cgroup_bytes if machine_bytes is None else min(machine_bytes, cgroup_bytes)


def cgroup_limit_bytes() -> int | None:
    """Return the memory limit of this process' cgroup; None if there is no limit."""
    return _number(_CGROUP / "memory.max")


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def combine_peaks(first: Memory, second: Memory) -> Memory:
    """Return the larger peak of two passes, counter by counter."""

    def largest(name: str) -> int | None:
        return max((peak for peak in (getattr(first, name), getattr(second, name)) if peak is not None), default=None)

    return Memory(**{field.name: largest(field.name) for field in fields(Memory)})
