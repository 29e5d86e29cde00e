"""Starting real runs and finding their processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness.store import record
from tests.executors.forked import BackgroundCommand


def start(
    suite: Path, results: Path, *options: str, prepare: Callable[[], object] | None = None, preflight: bool = False
) -> BackgroundCommand:
    """`harness run` in the background; `prepare` is called in its process first."""
    options = options if preflight else ("--no-preflight", *options)
    return BackgroundCommand("run", str(suite), "--results", str(results), *options, prepare=prepare)


def start_as_a_user(suite: Path, results: Path) -> subprocess.Popen[str]:
    """The same by new interpreters, for the tests of what these alone can get wrong."""
    return subprocess.Popen(
        (sys.executable, "-m", "harness", "run", str(suite), "--results", str(results), "--no-preflight"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "CI": "true"},
        preexec_fn=_heed_signals,  # noqa: PLW1509 - two calls in a new process
    )


def _heed_signals() -> None:
    """As a shell in the foreground starts a command; one in the background, or nohup, has it ignore these."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def trials_of(results: Path) -> list[int]:
    """The processes that work on trials under `results`, guards and loaders too.

    Forked ones hold the attempt's folder; the others have it in their command.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        words = []
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            words = (process / "cmdline").read_text(errors="replace").replace("\0", " ").split()
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    words.append(os.readlink(descriptor))
        if any(word.startswith(f"{results}/") and word.rpartition("/")[0].endswith("/attempts") for word in words):
            found.append(int(process.name))
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


def events_below(results: Path) -> int:
    """Return how many events all attempts have written so far."""
    return sum(events_in(path) for path in results.glob("*/trials/*/attempts/*/events.jsonl"))


def keep_and_compare(results: Path, kept: dict[Path, tuple[bytes, int]]) -> None:
    """Records that were there are there, unchanged and without another attempt; new ones are whole and remembered."""
    for path, (content, attempts) in kept.items():
        assert path.read_bytes() == content
        assert len(list((path.parent / "attempts").iterdir())) == attempts
    for path in results.glob("*/trials/*/record.json"):
        record.decode(record.RECORD, path.read_bytes(), str(path))
        kept.setdefault(path, (path.read_bytes(), len(list((path.parent / "attempts").iterdir()))))
