"""Which device `auto` means: decided once, where a run is planned, so that each of its jobs names its device.

A GPU that is lost in the night then stops the run with an error. It never becomes a night on the CPU.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.executors.environment import child_environment
from harness.processes.child import run_module

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the drivers that torch knows leave on Linux: NVIDIA's, its small boards', WSL's, AMD's.
_DRIVERS = tuple(map(Path, ("/dev/nvidiactl", "/dev/nvmap", "/dev/dxg", "/dev/kfd")))


def resolve(device: str, used: Iterable[str] = ()) -> str:
    """Return the device that a name stands for: `auto` is the first GPU where there is one, and otherwise the CPU.

    Args:
        device: auto, cpu, cuda or cuda:N.
        used: see `all_devices`.

    Raises:
        MachineError: torch cannot say what there is.
    """
    return all_devices(device, used)[0]


def all_devices(device: str, used: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the devices that a name stands for: `auto` is every GPU where there is one, and otherwise the CPU.

    Args:
        device: auto, cpu, cuda or cuda:N.
        used: the devices that earlier trials of the same results ran on. Where one is a GPU, `auto` stays one: whether
            it is still there is for the trial to see, which says so.

    Raises:
        MachineError: torch cannot say what there is.
    """
    if device != "auto":
        return (device,)
    lost = ("cuda:0",) if any(name.startswith("cuda") for name in used) else ("cpu",)
    if sys.platform == "darwin" or (sys.platform == "linux" and not any(path.exists() for path in _DRIVERS)):
        return lost
    asked = run_module("harness.trial.environment", environment=child_environment(1), capture=True)
    if asked.exit_code:
        last = (asked.errors.strip().splitlines() or ["no message"])[-1]
        raise MachineError(f"--device auto: torch cannot say which devices there are ({last}); name one")
    visible = tuple(asked.output.split())
    return visible if visible != ("cpu",) else lost
