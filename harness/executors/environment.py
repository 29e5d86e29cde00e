"""The cores that a process may use, and the environment variables of a process that measures."""

from __future__ import annotations

import os
from pathlib import Path


def available_cores() -> int:
    """Cores that this process may use: its affinity, and no more than its cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()
        if limit != "max":
            cores = min(cores, max(1, int(limit) // int(period)))
    return cores


def child_environment(threads: int) -> dict[str, str]:
    """What a process that measures needs to be told beforehand."""
    return {
        # The same bits from run to run: by default MKL's products depend on how its threads happened to share them.
        "MKL_CBWR": "AUTO,STRICT",
        **os.environ,
        # A pool of threads that spins while it waits slows small operations a hundredfold on a shared or throttled
        # machine; one that sleeps at once takes twice as long on an idle one, to wake up. So: spin briefly, then sleep.
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "10000",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",  # of its log, whatever the terminal's: no print may end a trial
        "PYTHONFAULTHANDLER": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))),
    }
