"""What NVIDIA's driver says of a GPU, through nvidia-ml-py and without root; None for whatever it does not tell."""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Collection

log = logging.getLogger(__name__)

T = TypeVar("T")

# Why the driver holds the clock below what the load asks for; idleness and a user's own setting are no such reason.
_HELD_BACK = {
    "nvmlClocksThrottleReasonSwPowerCap": "power cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware slowdown",
    "nvmlClocksThrottleReasonSwThermalSlowdown": "temperature",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "temperature (hardware)",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power brake",
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU of the driver's, under its library and handle."""

    nvml: Any
    handle: Any

    def ask(self, name: str, *arguments: Any) -> Any:
        """`name(handle, …)`, or None where this GPU or driver has no answer."""
        try:
            return getattr(self.nvml, name)(self.handle, *arguments)
        except (self.nvml.NVMLError, self.nvml.NVMLLibraryMismatchError) as error:  # of which the second is no first
            log.debug("%s: %s", name, error)
            return None

    def clock_fraction(self) -> float | None:
        """The SM clock now, over its default under load."""
        now, default = self.ask("nvmlDeviceGetClockInfo", self.nvml.NVML_CLOCK_SM), self.default_clock("SM")
        return now / default if now and default else None

    def default_clock(self, domain: str) -> int | None:
        """Of SM or MEM, in MHz; where the card has no application clocks, its highest."""
        which = getattr(self.nvml, f"NVML_CLOCK_{domain}")
        clock: int | None = self.ask("nvmlDeviceGetDefaultApplicationsClock", which) or self.ask(
            "nvmlDeviceGetMaxClockInfo", which
        )
        return clock

    def throttle_reasons(self) -> tuple[str, ...]:
        """Why the clock is held back now."""
        bits = self.ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return tuple(reason for name, reason in _HELD_BACK.items() if bits & getattr(self.nvml, name))

    def processes(self) -> dict[int, int | None]:
        """Memory in bytes by process that computes on it, a desktop's not; None where the driver hides it."""
        listed = self.ask("nvmlDeviceGetComputeRunningProcesses") or ()
        return {process.pid: process.usedGpuMemory for process in listed}

    def joules(self) -> float | None:
        """Energy since the driver was loaded."""
        millijoules = self.ask("nvmlDeviceGetTotalEnergyConsumption")
        return millijoules / 1000 if millijoules is not None else None

    def power_limit_w(self) -> float | None:
        """Enforced now."""
        milliwatts = self.ask("nvmlDeviceGetPowerManagementLimit")
        return milliwatts / 1000 if milliwatts is not None else None

    def pci_id(self) -> str | None:
        """Domain, bus, device, function."""
        pci = self.ask("nvmlDeviceGetPciInfo")
        return _text(pci.busId) if pci is not None else None

    def driver(self) -> str | None:
        """Its version."""
        try:
            return _text(self.nvml.nvmlSystemGetDriverVersion())
        except self.nvml.NVMLError:
            return None


@functools.cache
def gpu(device: torch.device) -> Gpu | None:
    """The driver's view of torch's device; None on a CPU, or where there is no such library."""
    if device.type != "cuda":
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")
    except (pynvml.NVMLError, AttributeError) as error:
        log.warning("the NVIDIA driver does not answer (%s): no clocks, energy or processes are known", error)
        return None
    return Gpu(pynvml, handle)


def own_bytes(device: torch.device) -> int | None:
    """What the driver says that this process and its children hold on the GPU; None where it cannot be told apart."""
    card = gpu(device)
    if card is None:
        return None
    processes = card.processes()
    known = [used for pid, used in processes.items() if used is not None and is_ours(pid)]
    if not known and len(processes) == 1:  # a container: the only one there is must be this one
        known = [used for used in processes.values() if used is not None]
    return sum(known) if known else None


def other_processes(processes: Collection[int]) -> tuple[int, ...]:
    """Those that are not ours.

    In a container the driver counts by the host's numbers, so that none of ours is among them: then one of them, and it
    cannot be told which, is this process.
    """
    others = tuple(pid for pid in processes if not is_ours(pid))
    return others if len(others) < len(processes) else others[1:]


def is_ours(pid: int) -> bool:
    """Whether a process belongs to this trial: each has a session of its own, with its loaders and its variants."""
    try:
        return os.getsid(pid) == os.getsid(0)
    except OSError:  # no such process here
        return False


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
