"""Where trials run at the same time: slots, each with a device and CPU threads of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for one trial at a time.

    Attributes:
        device: cpu, cuda or cuda:N.
        threads: CPU threads of its processes.
    """

    device: str
    threads: int


def divide(devices: Sequence[str], *, per_device: int, cores: int) -> tuple[Slot, ...]:
    """Return `per_device` slots of each device, with the cores divided among them.

    The first slots are on different devices, so that fewer trials than slots do not share one.
    """
    threads = max(1, cores // (len(devices) * per_device))
    return tuple(Slot(device=device, threads=threads) for _ in range(per_device) for device in devices)
