"""Query NVIDIA's driver about a GPU through nvidia-ml-py, without root; a value is None if the driver has none."""

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

# Reasons for which the driver limits the clock under load; idleness and a user's own setting are not among them.
_HELD_BACK = {
    "nvmlClocksThrottleReasonSwPowerCap": "power cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware slowdown",
    "nvmlClocksThrottleReasonSwThermalSlowdown": "temperature",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "temperature (hardware)",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power brake",
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, by the driver's library and its handle."""

    nvml: Any
    handle: Any

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return the library's `name(handle, …)`, or None if this GPU or driver does not support it."""
        try:
            return getattr(self.nvml, name)(self.handle, *arguments)
        except (
            self.nvml.NVMLError,
            self.nvml.NVMLLibraryMismatchError,
        ) as error:  # the second is not a subclass of the first
            log.debug("%s: %s", name, error)
            return None

    def clock_fraction(self) -> float | None:
        """Return the current SM clock as a fraction of its default under load."""
        now, default = self.ask("nvmlDeviceGetClockInfo", self.nvml.NVML_CLOCK_SM), self.default_clock("SM")
        return now / default if now and default else None

    def default_clock(self, domain: str) -> int | None:
        """Return the default clock of SM or MEM in MHz; the highest one if the card has no application clocks."""
        clock_id = getattr(self.nvml, f"NVML_CLOCK_{domain}")
        clock: int | None = self.ask("nvmlDeviceGetDefaultApplicationsClock", clock_id) or self.ask(
            "nvmlDeviceGetMaxClockInfo", clock_id
        )
        return clock

    def throttle_reasons(self) -> tuple[str, ...]:
        """Return why the clock is limited now."""
        bits = self.ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return tuple(reason for name, reason in _HELD_BACK.items() if bits & getattr(self.nvml, name))

    def processes(self) -> dict[int, int | None]:
        """Return the memory in bytes of each compute process, without a desktop's; None if the driver hides it."""
        processes = self.ask("nvmlDeviceGetComputeRunningProcesses") or ()
        return {process.pid: process.usedGpuMemory for process in processes}

    def joules(self) -> float | None:
        """Return the energy used since the driver was loaded."""
        millijoules = self.ask("nvmlDeviceGetTotalEnergyConsumption")
        return millijoules / 1000 if millijoules is not None else None

    def power_limit_w(self) -> float | None:
        """Return the power limit in force now."""
        milliwatts = self.ask("nvmlDeviceGetPowerManagementLimit")
        return milliwatts / 1000 if milliwatts is not None else None

    def pci_id(self) -> str | None:
        """Return the PCI address: domain, bus, device and function."""
        pci = self.ask("nvmlDeviceGetPciInfo")
        return _text(pci.busId) if pci is not None else None

    def driver(self) -> str | None:
        """Return the driver's version."""
        try:
            return _text(self.nvml.nvmlSystemGetDriverVersion())
        except self.nvml.NVMLError:
            return None


@functools.cache
def gpu(device: torch.device) -> Gpu | None:
    """Return the driver's handle of torch's device; None on a CPU, or if the driver does not answer."""
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


def process_bytes(device: torch.device) -> int | None:
    """Return the memory of this trial's processes on the GPU; None if the driver does not show which ones those are."""
    card = gpu(device)
    if card is None:
        return None
    processes = card.processes()
    used_bytes = [used for pid, used in processes.items() if used is not None and is_own_process(pid)]
    if not used_bytes and len(processes) == 1:  # in a container, the only process must be this one
        used_bytes = [used for used in processes.values() if used is not None]
    return sum(used_bytes) if used_bytes else None


def other_processes(processes: Collection[int]) -> tuple[int, ...]:
    """Return the processes that do not belong to this trial.

    In a container the driver reports the host's process ids, so that none is recognised as this process. Then one of
    them, and it is unknown which, is left out as this process.
    """
    others = tuple(pid for pid in processes if not is_own_process(pid))
    return others if len(others) < len(processes) else others[1:]


def is_own_process(pid: int) -> bool:
    """Return whether a process belongs to this trial, whose loaders and variants share its process session."""
    try:
        return os.getsid(pid) == os.getsid(0)
    except OSError:  # no such process here
        return False


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
