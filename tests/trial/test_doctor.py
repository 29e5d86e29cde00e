"""What `harness doctor` finds on this machine, and on a device that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from harness.trial import doctor, environment
from harness.trial.inputs import shared_memory


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


@pytest.mark.parametrize(("free_mib", "good"), [(64, False), (512, True)])
def test_a_small_dev_shm_is_a_finding(monkeypatch: pytest.MonkeyPatch, free_mib: int, good: bool) -> None:  # noqa: FBT001
    """With its size, what is free of it, and how a container gets more."""
    monkeypatch.setattr(shared_memory, "room", lambda: (free_mib * 2**20, free_mib * 2**20))
    (finding,) = (found for found in doctor._memory(torch.device("cpu")) if "/dev/shm" in found.text)
    assert finding.good is good
    assert f"/dev/shm has {free_mib} MiB of {free_mib} MiB free" in finding.text
    assert ("docker run --shm-size" in finding.text) is not good


@pytest.mark.slow
def test_every_finding_is_a_line_and_the_exit_code_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On this machine, with smaller images: the spread of one model measured five times, and what is in the way."""
    for name, value in {"_SIDE": 64, "_REPEAT_S": 0.1, "_IDLE_S": 0.1}.items():
        monkeypatch.setattr(doctor, name, value)
    code = doctor.main("cpu", 1)
    *findings, verdict = capsys.readouterr().out.splitlines()
    assert [line for line in findings if "A/A: 5 measurements of one model" in line]
    assert {line[:3] for line in findings} <= {"ok ", "BAD", " – "}
    n_bad = sum(line.startswith("BAD") for line in findings)
    assert code == (1 if n_bad else 0)
    assert verdict == (f"not fit to measure on: {n_bad} of these must change" if n_bad else "fit to measure on")
