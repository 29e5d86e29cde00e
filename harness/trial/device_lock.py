"""Let timed passes have the device alone, while trials of any run on this machine train on it side by side.

A trial holds the device together with others, and makes way between two steps for whoever wants to time something; that
one then has it alone until it is done. Held by advisory locks on two files, which the system takes back from a process
that dies. Someone who does not make way within a quarter of an hour (a process that was stopped, say) is not waited for
any longer: what is timed beside others gets the warning `shared_device` as ever.

Processes of other users, in other containers and of other programs know nothing of these files; containers that share
a GPU can share a folder for them, which HARNESS_DEVICE_LOCKS names.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

FOLDER = "HARNESS_DEVICE_LOCKS"  # an environment variable
_POLL_S = 0.05
_MOST_S = 900.0


class DeviceLock:
    """One process' hold of a device.

    Args:
        name: of the device, the same in every process; see `name_of`. None: nothing is held, and nobody waited for.
        give_up: called again and again while it waits; returns whether to wait no longer.
        most_s: seconds that it waits at most.
    """

    def __init__(
        self,
        name: str | None,
        give_up: Callable[[], bool] = lambda: False,
        *,
        most_s: float = _MOST_S,
    ) -> None:
        self._name, self._give_up, self._most_s = name, give_up, most_s
        self._device = self._next = -1
        self._alone = False
        self._given_up: set[tuple[int, int]] = set()  # what was waited for in vain, and is not again until it is free
        if name is None:
            return
        folder = Path(os.environ.get(FOLDER) or Path(tempfile.gettempdir()) / f"harness-{os.getuid()}")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whoever wants the device alone holds `next` as well, so that nobody else begins to share it.
            self._device, self._next = (
                os.open(folder / f"{name}.{end}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                for end in ("device", "next")
            )
        except OSError as error:
            log.warning("%s: %s; nothing keeps other trials from the device while this one is timed", folder, error)

    def share(self) -> None:
        """Hold the device together with others, as soon as nobody has it alone."""
        self._lock(self._next, fcntl.LOCK_SH)
        self._lock(self._device, fcntl.LOCK_SH)
        self._unlock(self._next)

    def make_way(self) -> None:
        """Let someone who wants the device alone have it, and wait until that one is done; for between two steps."""
        if self._alone:
            return
        if self._try(self._next, fcntl.LOCK_SH):
            self._unlock(self._next)
        else:
            self._unlock(self._device)
            self.share()

    @contextlib.contextmanager
    def left(self) -> Iterator[None]:
        """Let others have the device in this block, in which this process does not use it."""
        self._unlock(self._device)
        yield
        self.share()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the device alone in this block, where everybody else makes way in time."""
        self._unlock(self._device)
        self._lock(self._next, fcntl.LOCK_EX)
        self._lock(self._device, fcntl.LOCK_EX)
        self._alone = True
        try:
            yield
        finally:
            self._alone = False
            self._unlock(self._device)
            self._unlock(self._next)
        self.share()

    def close(self) -> None:
        """Let go of the device."""
        for lock in (self._device, self._next):
            if lock >= 0:
                os.close(lock)
        self._device = self._next = -1

    def __del__(self) -> None:
        """Let go of it with the attempt that held it, where that was not the whole process."""
        self.close()

    def _lock(self, lock: int, kind: int) -> None:
        """Wait for a lock, but not for ever."""
        in_vain = (lock, kind) in self._given_up
        deadline = time.monotonic() + (0.0 if in_vain else self._most_s)
        while not self._try(lock, kind):
            if time.monotonic() > deadline:
                if not in_vain:
                    log.warning(
                        "%s: another process did not make way within %.0f s; going on", self._name, self._most_s
                    )
                self._given_up.add((lock, kind))
                return
            if self._give_up():
                return
            time.sleep(_POLL_S)
        self._given_up.discard((lock, kind))

    def _try(self, lock: int, kind: int) -> bool:
        if lock < 0:
            return True
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(self, lock: int) -> None:
        if lock >= 0:
            fcntl.flock(lock, fcntl.LOCK_UN)


def name_of(device: torch.device) -> str:
    """Return a device's name on this machine: a GPU's own number, or the cores that this process may use."""
    if device.type != "cpu":
        return f"cuda-{torch.cuda.get_device_properties(device).uuid}"
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0)))) if hasattr(os, "sched_getaffinity") else "all"
    return f"cpu-{hashlib.sha256(cores.encode()).hexdigest()[:12]}"
