"""Starting real runs and finding their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def _heed_signals() -> None:
    """As a shell in the foreground starts a command; one in the background, or nohup, has it ignore these."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def start(suite: Path, results: Path, *options: str) -> subprocess.Popen[str]:
    """`harness run`, without a rehearsal, in the background; nohup's wish for this test run is not its."""
    return subprocess.Popen(
        (sys.executable, "-m", "harness", "run", str(suite), "--results", str(results), "--no-preflight", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "CI": "true"},
        preexec_fn=_heed_signals,  # noqa: PLW1509 - two calls in a new process
    )


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def trials_of(results: Path) -> list[int]:
    """The processes that work on trials under `results`, guards and loaders too."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"harness.trial" in command and any(str(results).encode() in word for word in command):
            found.append(int(path.parent.name))
    return found


def leader_of(results: Path) -> int:
    """The running trial's own process, once it trains."""
    wait_for(lambda: has_event(results, '"step"'), "a training step")
    leaders = [pid for pid in trials_of(results) if os.getpgid(pid) == pid]
    assert len(leaders) == 1, leaders
    return leaders[0]


def has_event(results: Path, text: str) -> bool:
    """Whether any attempt said so."""
    return any(text in path.read_text() for path in results.glob("*/trials/*/attempts/*/events.jsonl"))


def events_in(path: Path) -> int:
    """Return how many events an attempt has written so far."""
    return path.read_bytes().count(b"\n") if path.is_file() else 0
