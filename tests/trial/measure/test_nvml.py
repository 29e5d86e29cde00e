"""What the driver says, asked through a library that answers as nvidia-ml-py does; nothing here needs a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
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
        (pynvml.nvmlClocksThrottleReasonSwPowerCap, ("power cap",)),
        (
            pynvml.nvmlClocksThrottleReasonSwThermalSlowdown | pynvml.nvmlClocksThrottleReasonHwSlowdown,
            ("hardware slowdown", "temperature"),
        ),
    ],
)
def test_only_real_reasons_hold_a_clock_back(bits: int, reasons: tuple[str, ...]) -> None:
    """Idleness and a user's own setting are none."""
    assert _card(nvmlDeviceGetCurrentClocksThrottleReasons=bits).throttle_reasons() == reasons


def test_foreign_processes() -> None:
    """Whatever is not of our session; in a container, where no number is known, one of them is ours."""
    ours, unknown = os.getpid(), 1 << 22
    assert nvml.other_processes([ours]) == ()
    assert nvml.other_processes([ours, unknown]) == (unknown,)
    assert nvml.other_processes([]) == ()
    assert nvml.other_processes([unknown]) == ()
    assert nvml.other_processes([unknown, unknown + 1]) == (unknown + 1,)


def test_our_children_are_ours_and_another_session_is_not() -> None:
    """A loader or a variant counts, a trial beside us does not."""
    script = (sys.executable, "-c", "input()")
    with (
        subprocess.Popen(script, stdin=subprocess.PIPE) as child,
        subprocess.Popen(script, stdin=subprocess.PIPE, start_new_session=True) as beside,
    ):
        assert nvml.is_own_process(child.pid)
        assert not nvml.is_own_process(beside.pid)
        child.communicate(b"\n")
        beside.communicate(b"\n")


def test_memory_of_our_tree_is_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and our workers', not a stranger's; hidden numbers are not zero."""
    ours, stranger = SimpleNamespace(pid=os.getpid(), usedGpuMemory=300), SimpleNamespace(pid=1 << 22, usedGpuMemory=5)
    hidden = SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)
    cuda = torch.device("cuda:0")
    other = SimpleNamespace(pid=(1 << 22) + 1, usedGpuMemory=7)
    cases: list[tuple[list[SimpleNamespace], int | None]] = [
        ([ours, stranger], 300),
        ([hidden], None),
        ([], None),
        ([stranger], 5),  # a container: the only one there is
        ([stranger, other], None),  # which of them is ours cannot be told
    ]
    for listed, expected in cases:
        card = _card(nvmlDeviceGetComputeRunningProcesses=listed)
        monkeypatch.setattr(nvml, "gpu", lambda _device, card=card: card)
        assert nvml.process_bytes(cuda) == expected


def test_a_cpu_has_no_driver() -> None:
    """And is not asked for one."""
    assert nvml.gpu(torch.device("cpu")) is None
    assert nvml.process_bytes(torch.device("cpu")) is None
