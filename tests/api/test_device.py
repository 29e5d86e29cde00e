"""`auto` is decided once, in the parent; a GPU that was used and is gone is an error and never a night on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.api import device
from harness.errors import MachineError
from harness.processes.child import Completed
from harness.store import files, paths, record
from harness.store.job import JOB
from tests.conftest import Command
from tests.store.make import make_record


def _torch_says(monkeypatch: pytest.MonkeyPatch, output: str, *, exit_code: int = 0, errors: str = "") -> list[str]:
    asked: list[str] = []

    def run_module(module: str, **_options: object) -> Completed:
        asked.append(module)
        return Completed(exit_code=exit_code, output=output, errors=errors)

    monkeypatch.setattr(device, "run_module", run_module)
    return asked


def test_without_a_driver_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the CPU at once; another name stands for itself."""
    asked = _torch_says(monkeypatch, "cuda:0\n")
    monkeypatch.setattr(device, "_DRIVERS", (Path("/nowhere"),))
    assert device.resolve("auto") == "cpu"
    assert [device.resolve(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    assert not asked


@pytest.mark.parametrize("there", ["cuda:0", "cpu"])
def test_with_a_driver_torch_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: str) -> None:
    """A driver may be too old for it, or its build be for the CPU."""
    asked = _torch_says(monkeypatch, f"{there}\n")
    monkeypatch.setattr(device, "_DRIVERS", (tmp_path,))
    assert device.resolve("auto", used=["cpu"]) == there
    assert asked == ["harness.trial.environment"]


def test_a_torch_that_cannot_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its last line, and not a guess."""
    _torch_says(monkeypatch, "", exit_code=1, errors="Traceback\nImportError: libcudart.so\n")
    monkeypatch.setattr(device, "_DRIVERS", (tmp_path,))
    with pytest.raises(MachineError, match=r"--device auto: .*ImportError: libcudart.so"):
        device.resolve("auto")


def test_a_run_goes_on_where_it_began_or_stops(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """One trial was measured on a GPU, which is gone: the next one does not go to the CPU in silence."""
    suite, results = tiny_suite(rest="seeds: [0, 1]\nhyperparameters: {epochs: 1, lr: 1e-4}\n"), tmp_path / "r"
    plan = harness.plan(suite, results=results)
    assert plan.device == "cpu"
    first = plan.trials[0]
    finished = make_record(replace(first), device="cuda:0", device_name="a GPU")
    folder = paths.SuiteFolder(results / "tiny").trial(first.trial_id)
    files.make_folder(folder.path)
    files.commit(folder.record, record.encode(record.RECORD, finished))
    assert harness.plan(suite, results=results).device == "cuda:0"
    done = harness_command("run", suite, "--results", results, "--no-race")
    assert done.returncode == 3
    assert "--device cuda:0: torch" in done.stderr
    assert "sees 0 CUDA devices" in done.stderr


def test_a_job_names_its_device(harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """`auto` is decided before there is a job."""
    results = tmp_path / "r"
    assert harness_command("run", tiny_suite(), "--results", results, "--no-preflight", "--no-race").returncode == 0
    jobs = [record.decode(JOB, path.read_bytes(), str(path)) for path in results.rglob("job.json")]
    assert jobs
    assert {job.device for job in jobs} == {"cpu"}
