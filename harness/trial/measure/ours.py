"""Which processes on the GPU are this trial's.

In a container the driver gives process ids of the host, which mean nothing inside. So the ids on every GPU are noted
before the first CUDA call of this process: its own is the one that appears with it. A variant's process is told that of
the trial that started it, whose context stays on the device.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.trial.measure import nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import torch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The processes of this trial, by the driver's ids.

    Attributes:
        own: this process; None if that could not be told.
        others: the trial's other processes that hold memory on the device.
    """

    own: int | None = None
    others: frozenset[int] = frozenset()

    @property
    def all(self) -> tuple[int, ...]:
        """Those that are known."""
        return tuple(sorted(self.others | ({self.own} if self.own is not None else set())))

    def strangers(self, processes: Collection[int]) -> tuple[int, ...]:
        """Return those of the processes that do not belong to this trial.

        Where ids are those that this process sees, so are the trial's other processes, which share its session. Where
        its own could not be told, and none is known, one of them is left out as this process.
        """
        known = {pid for pid in processes if pid == self.own or pid in self.others}
        if self.own in {None, os.getpid()}:
            known |= {pid for pid in processes if in_this_session(pid)}
        strangers = tuple(pid for pid in processes if pid not in known)
        return strangers[1:] if self.own is None and not known - self.others else strangers

    def memory_bytes(self, processes: dict[int, int | None]) -> int | None:
        """Return the memory of this process alone; None where the driver hides it, or it is not known which that is."""
        if self.own is not None:
            return processes.get(self.own)
        unknown = [pid for pid in processes if pid not in self.others]
        if os.getpid() in unknown:
            return processes[os.getpid()]
        return processes[unknown[0]] if len(unknown) == 1 else None


_found: list[Ours] = []  # of this process, once it has used the device


def ours() -> Ours:
    """Return which processes are this trial's, as far as `begin` has found out."""
    return _found[-1] if _found else Ours()


def begin(device: torch.device, start: Callable[[], None], *, others: Sequence[int] = ()) -> None:
    """Make the first CUDA call of this process, and see which process appears on the device with it.

    Args:
        device: the device.
        start: makes this process appear on it; called once more does no harm.
        others: the trial's other processes, by the driver's ids.
    """
    if device.type != "cuda" or _found:
        start()
        return
    before = nvml.processes_everywhere()
    start()
    card = nvml.gpu(device)
    after = set(card.processes()) if card is not None else set()
    _found.append(Ours(own=_appeared(before, after), others=frozenset(others)))


def _appeared(before: set[int] | None, after: set[int]) -> int | None:
    if before is None:
        return None
    new = after - before
    if os.getpid() in new:
        return os.getpid()
    if len(new) == 1:
        return new.pop()
    log.info("%d processes appeared on the GPU with this one: which of them it is cannot be told", len(new))
    return None


def in_this_session(pid: int) -> bool:
    """Return whether a process shares this one's session, as a trial's loaders and variants do."""
    try:
        return os.getsid(pid) == os.getsid(0)
    except OSError:  # no such process here
        return False
