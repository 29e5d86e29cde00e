"""The program around the checks: what it writes, what fails it, and that it writes nothing where there is no GPU."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.gpu import __main__ as prove
from tests.gpu import runs, training, verdicts
from tests.gpu.verdicts import Check

CPU = torch.device("cpu")


def _raises() -> Iterable[Check]:
    raise RuntimeError("CUDA error: unknown error")


def _named(*, good: bool) -> list[prove.Named]:
    return [
        ("good", lambda: [verdicts.holds("good", good, expected=True)]),
        ("impossible", lambda: [verdicts.impossible("impossible", "not here")]),
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, and is no failure."""
    before = sorted((ROOT / "results" / "examples").rglob("*"))
    assert prove.main([]) == 0
    assert "sees no CUDA device here: nothing was proved, and nothing is written" in capsys.readouterr().out
    assert sorted((ROOT / "results" / "examples").rglob("*")) == before


@pytest.mark.parametrize("good", [True, False])
def test_the_exit_code_is_the_verdict_and_every_check_is_written(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    good: bool,  # noqa: FBT001
) -> None:
    """With its value, its bound and its verdict, in the report and as JSON; what is not possible here fails nothing."""
    monkeypatch.setattr(runs, "checks", lambda _place: _named(good=good))
    monkeypatch.setattr(prove, "in_process", lambda _device: [])
    assert prove.main(["--device", "cpu", "--out", str(tmp_path)]) == (0 if good else 1)
    content = json.loads((tmp_path / "checks.json").read_text())
    assert content["failed"] == (0 if good else 1)
    assert [(check["name"], check["value"], check["bound"], check["passed"]) for check in content["checks"]][:2] == [
        ("good", good, "= True", good),
        ("impossible", None, "–", None),
    ]
    report = (tmp_path / "report.md").read_text()
    assert f"| good | {good} | = True | {'passed' if good else 'FAILED'} |" in report
    assert "| impossible | None | – | not possible |" in report


def test_a_check_that_raises_has_failed_and_the_others_go_on() -> None:
    """Its traceback is its detail."""
    found = prove.examine([("broken", _raises), *_named(good=True)], say=lambda _line: None)
    assert [check.passed for check in found] == [False, True, None]
    assert "CUDA error: unknown error" in found[0].detail


def test_the_checks_in_this_process_run_on_a_cpu() -> None:
    """By the same code as on a GPU, at tiny sizes: their first run there is not their first one."""
    found = [*training.clock(CPU, side=256, n_steps=4), training.random_state(CPU), training.energy(CPU)]
    impossible = {check.name for check in found if check.passed is None}
    assert impossible == {"clock against CUDA events, s", "joules × throughput, W"}
    assert [check.passed for check in found if check.name.startswith("resume")] == [True]
