"""Room for batches on their way from loader processes: they pass through /dev/shm, of which a container has 64 MB.

A loader process that finds it full dies or falls silent, so only as many are started as have room for their batches.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.formatting import memory

PREFETCHED = 2  # batches that each loader process holds ready
ADVICE = "give the container more (docker run --shm-size=2g), or set loader_workers: 0"

_FOLDER = Path("/dev/shm")  # noqa: S108 - where the kernel keeps shared memory
# What torch says where a loader process found no room, and where none gave a batch in time.
_NO_ROOM = ("(shm)", "shared memory object", "unable to write to file </torch_")
_SILENT = "dataloader timed out"


def room() -> tuple[int, int] | None:
    """Return the free bytes of /dev/shm and all of its bytes; None on a system without it."""
    try:
        found = os.statvfs(_FOLDER)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def workers_that_fit(wanted: int, batch_bytes: int) -> int:
    """Return how many of the wanted loader processes have room for their batches; 0 where not even one has.

    Args:
        batch_bytes: the images of the largest batch. One more than those that are held ready is in use.
    """
    found = room()
    if found is None or not batch_bytes:
        return wanted
    batches = found[0] // batch_bytes - 1
    return max(0, min(wanted, batches // PREFETCHED))


def shortage(wanted: int, workers: int, batch_bytes: int) -> str:
    """Say why fewer loader processes are started than were wanted."""
    needed = (wanted * PREFETCHED + 1) * batch_bytes
    return (
        f"{workers} loader processes in place of {wanted}: the batches of {wanted} take {memory(needed)} of shared "
        f"memory, and {describe_room()}; {ADVICE}"
    )


def describe_room() -> str:
    """Say how much of /dev/shm is free."""
    found = room()
    if found is None:
        return f"there is no {_FOLDER}"
    free, size = found
    return f"{_FOLDER} has {memory(free)} of {memory(size)} free"


def explain(error: RuntimeError, *, timeout_s: float) -> RuntimeError:
    """Return a loader's error in words that say what to do, or the error itself where it is about something else."""
    text = str(error).lower()
    if _SILENT in text:
        return RuntimeError(
            f"the loader processes gave no batch for {timeout_s:.0f} s: either reading an image takes that long, or "
            f"shared memory is full ({describe_room()}): {ADVICE}"
        )
    if any(phrase in text for phrase in _NO_ROOM):
        return RuntimeError(f"the loader processes found no room in shared memory ({describe_room()}): {ADVICE}")
    return error
