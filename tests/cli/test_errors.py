"""Errors as one message and an exit code."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from harness.cli.errors import exit_codes
from harness.errors import HarnessError, Interrupted, LockedError, MachineError, RepeatedError, SuiteError, UsageError
from tests.conftest import Command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("why"), 2),
        (SuiteError(("why",)), 2),
        (MachineError("why"), 3),
        (LockedError("why"), 4),
        (RepeatedError("why"), 1),
    ],
)
def test_each_error_has_its_exit_code(error: HarnessError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """With its text on the error stream, and nothing else."""
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr() == ("", "Error: why\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_says_how_to_go_on(
    number: int, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exit code of the signal, and the command as it was typed."""
    monkeypatch.setattr(sys, "argv", ["/bin/harness", "run", "my suite.yaml"])
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise Interrupted(number)
    assert ended.value.code == code
    assert "harness run 'my suite.yaml'" in capsys.readouterr().err


def test_a_process_ends_with_the_exit_code(harness_process: Command, tmp_path: Path) -> None:
    """Through `python -m harness`, with the message on standard error and no traceback."""
    done = harness_process("plan", tmp_path / "gone.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
