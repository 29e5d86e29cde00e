"""A disk that is full: the run stops with exit 3, says so, and what was finished stays finished."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def _small_files() -> None:
    """In the child before it starts: as on a full disk, large writes end short and then fail."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))


def test_weights_that_do_not_fit_stop_the_run(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """The checkpoint cannot be written: exit 3 naming it and how to go on; no record, no torn file."""
    results = tmp_path / "results"
    done = subprocess.run(
        (sys.executable, "-m", "harness", "run", str(tiny_suite()), "--results", str(results)),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        preexec_fn=_small_files,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "weights.pt: cannot be written" in done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(results.rglob("record.json"))
    assert not list(results.rglob("weights.pt"))
    assert "weights.pt: cannot be written" in (results / "tiny" / "report.md").read_text()
