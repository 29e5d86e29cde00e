"""Peak memory of a pass: reset first, read after it. Training and inference are never in one pass."""

from __future__ import annotations

import ctypes
import gc
import logging
import re
from dataclasses import fields
from pathlib import Path

import torch

from harness.store.record import Memory
from harness.trial.measure import nvml

log = logging.getLogger(__name__)

_CGROUP = Path("/sys/fs/cgroup")  # as a container sees its own, in version 2
NO_MEMORY = Memory(peak_allocated_bytes=None, peak_reserved_bytes=None, peak_resident_bytes=None)


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
    """The peaks since `reset_peak`. Where the system has no such counter, None.

    The driver knows no peak; but the allocator gives nothing back within a pass, so at its end it holds the most.
    """
    if device.type == "cuda":
        return Memory(
            peak_allocated_bytes=torch.cuda.max_memory_allocated(device),
            peak_reserved_bytes=torch.cuda.max_memory_reserved(device),
            peak_resident_bytes=None,
            peak_driver_bytes=nvml.own_bytes(device),
        )
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return Memory(
        peak_allocated_bytes=None,
        peak_reserved_bytes=None,
        peak_resident_bytes=int(found.group(1)) * 1024 if found else None,
    )


def available_bytes() -> int | None:
    """Memory that can still be had without swapping: of the machine, or of this process' cgroup if that is less."""
    meminfo = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    of_machine = int(found.group(1)) * 1024 if found else None
    limit, used = cgroup_limit_bytes(), _number(_CGROUP / "memory.current")
    if limit is None or used is None:
        return of_machine
    of_group = max(0, limit - used)
    return of_group if of_machine is None else min(of_machine, of_group)


def cgroup_limit_bytes() -> int | None:
    """What a container may take; None where nothing limits it."""
    return _number(_CGROUP / "memory.max")


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def larger(first: Memory, second: Memory) -> Memory:
    """The peaks of two passes together."""

    def largest(name: str) -> int | None:
        return max((peak for peak in (getattr(first, name), getattr(second, name)) if peak is not None), default=None)

    return Memory(**{field.name: largest(field.name) for field in fields(Memory)})
