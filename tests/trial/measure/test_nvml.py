"""What the driver says, asked through a library that answers as nvidia-ml-py does; nothing here needs a GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from harness.trial.measure import nvml


class _Driver:
    """nvidia-ml-py with one card. Methods named in `unsupported` raise as on a card that lacks them."""

    NVMLError = pynvml.NVMLError
    NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError

    def __init__(self, *unsupported: str, **answers: Any) -> None:
        self._unsupported, self._answers = unsupported, answers

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_") or ("Reason" in name and not name.startswith("nvmlDevice")):
            return getattr(pynvml, name)

        def answer(*_: object) -> Any:
            if name in self._unsupported or name not in self._answers:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return self._answers[name]

        return answer


def _card(*unsupported: str, **answers: Any) -> nvml.Gpu:
    return nvml.Gpu(_Driver(*unsupported, **answers), "handle")


def test_numbers_come_in_our_units() -> None:
    """Milliwatts, millijoules and megahertz as the driver counts them; bytes of the library's text decoded."""
    card = _card(
        nvmlDeviceGetClockInfo=1400,
        nvmlDeviceGetDefaultApplicationsClock=1980,
        nvmlDeviceGetTotalEnergyConsumption=12_345,
        nvmlDeviceGetPowerManagementLimit=700_000,
        nvmlDeviceGetPciInfo=SimpleNamespace(busId=b"00000000:3B:00.0"),
        nvmlSystemGetDriverVersion="580.1",
    )
    assert card.clock_fraction() == pytest.approx(1400 / 1980)
    assert card.joules() == 12.345
    assert card.power_limit_w() == 700
    assert card.pci_id() == "00000000:3B:00.0"
    assert card.driver() == "580.1"


def test_a_card_without_application_clocks_is_held_to_its_highest() -> None:
    """As consumer cards are."""
    card = _card(nvmlDeviceGetClockInfo=1000, nvmlDeviceGetMaxClockInfo=2000)
    assert card.clock_fraction() == 0.5


def test_what_a_card_does_not_tell_is_none() -> None:
    """No error, no invented zero."""
    card = _card()
    assert (card.clock_fraction(), card.joules(), card.power_limit_w(), card.pci_id(), card.driver()) == (None,) * 5
    assert card.throttle_reasons() == ()
    assert card.processes() == {}


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (pynvml.nvmlClocksThrottleReasonGpuIdle | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting, ()),
        (pynvml.nvmlClocksThrottleReasonSwPowerCap, ()),
        (
            pynvml.nvmlClocksThrottleReasonSwPowerCap | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
            ("power cap", "temperature"),
        ),
        (
            pynvml.nvmlClocksThrottleReasonSwThermalSlowdown | pynvml.nvmlClocksThrottleReasonHwSlowdown,
            ("hardware slowdown", "temperature"),
        ),
    ],
)
def test_only_real_reasons_hold_a_clock_back(bits: int, reasons: tuple[str, ...]) -> None:
    """Idleness, a user's own setting and the power cap alone, at which a loaded card runs, are none."""
    assert _card(nvmlDeviceGetCurrentClocksThrottleReasons=bits).throttle_reasons() == reasons


def test_hidden_memory_is_unknown_and_never_zero() -> None:
    """A driver says so, or says 0 bytes, as in containers and under MIG."""
    listed = [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in ((1, 300), (2, 0), (3, None))]
    assert _card(nvmlDeviceGetComputeRunningProcesses=listed).processes() == {1: 300, 2: None, 3: None}


@pytest.mark.parametrize("prefix", ["GPU", "MIG"])
def test_a_mig_instance_is_found_by_its_own_id(prefix: str) -> None:
    """Torch gives the id of either without its prefix; a driver that knows neither raises its own error."""

    class Library:
        NVMLError = pynvml.NVMLError

        def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802 - the library's name
            if uuid != f"{prefix}-1234":
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
            return uuid

    assert nvml._handle(Library(), "1234") == f"{prefix}-1234"
    assert nvml._handle(Library(), f"{prefix}-1234") == f"{prefix}-1234"
    with pytest.raises(pynvml.NVMLError):
        nvml._handle(Library(), "other")


def test_a_cpu_has_no_driver() -> None:
    """And is not asked for one."""
    assert nvml.gpu(torch.device("cpu")) is None
