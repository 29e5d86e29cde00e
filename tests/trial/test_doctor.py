"""What `harness doctor` finds on a device that does not let itself be examined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.trial import doctor, environment

if TYPE_CHECKING:
    import pytest
    import torch


def test_a_device_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Full, or another's alone: what was found before stays, the failure is one line of it, and the verdict is no."""

    def check_machine(_device: torch.device) -> Iterator[doctor.Finding]:
        yield doctor.Finding(good=True, text="memory free")
        raise RuntimeError("CUDA error: out of memory\nsome advice")

    monkeypatch.setattr(doctor, "check_machine", check_machine)
    monkeypatch.setattr(environment, "prepare", lambda *_, **__: None)
    assert doctor.main("cpu", 1) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok   memory free",
        "BAD  the device does not work: CUDA error: out of memory",
        "not fit to measure on: 1 of these must change",
    ]
