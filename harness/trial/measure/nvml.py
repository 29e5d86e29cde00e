"""Query NVIDIA's driver about a GPU through nvidia-ml-py, without root; a value is None if the driver has none."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

log = logging.getLogger(__name__)

T = TypeVar("T")

# Reasons for which the driver limits the clock under load; idleness and a user's own setting are not among them.
_POWER_CAP = "power cap"
_HELD_BACK = {
    "nvmlClocksThrottleReasonSwPowerCap": _POWER_CAP,
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
            AttributeError,
        ) as error:  # the second is not a subclass of the first; the third is a library older than the question
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
        """Return why the clock is limited now; the power cap alone is how a loaded card runs, and no reason."""
        bits = self.ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        reasons = tuple(reason for name, reason in _HELD_BACK.items() if bits & getattr(self.nvml, name))
        return () if reasons == (_POWER_CAP,) else reasons

    def processes(self) -> dict[int, int | None]:
        """Return the memory in bytes of each compute process, without a desktop's; None if the driver hides it.

        A driver that hides it says so, or says 0, which no process with a context can have.
        """
        processes = self.ask("nvmlDeviceGetComputeRunningProcesses") or ()
        return {process.pid: process.usedGpuMemory or None for process in processes}

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
        handle = _handle(pynvml, uuid)
    except (pynvml.NVMLError, AttributeError) as error:
        log.warning("the NVIDIA driver does not answer (%s): no clocks, energy or processes are known", error)
        return None
    return Gpu(pynvml, handle)


def _handle(nvml: Any, uuid: str) -> Any:
    """Return the handle of a whole GPU or of a MIG instance; torch gives the ids of both without their prefix."""
    if uuid.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(uuid)
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except nvml.NVMLError:
        return nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")


def processes_everywhere() -> set[int] | None:
    """Return the ids of the compute processes on every GPU, without a CUDA call; None if the driver does not answer."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except (pynvml.NVMLError, AttributeError):
        return None
    return {pid for handle in handles for pid in Gpu(pynvml, handle).processes()}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
