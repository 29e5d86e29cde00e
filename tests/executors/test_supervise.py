"""Whatever a child does, its attempt ends with an outcome and a reason, and nothing of it lives on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MachineError
from harness.executors import base, environment, local
from harness.store import paths, record
from harness.store.job import OUTCOME, Job
from tests.store.make import make_trial


class _Child:
    """Put a script of the test's in the place of `python -m harness.trial`; everything else is real."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._patch, self.trial = monkeypatch, paths.TrialFolder(tmp_path / "trial")
        self.patience = base.Timeouts(hang_s=60, total_s=None)

    def run(self, code: str, on_event: object = lambda _event: None) -> tuple[base.AttemptResult, paths.AttemptFolder]:
        real: Any = subprocess.Popen
        script = f"import os, sys, time\nfolder = sys.argv[1]\n{code}"

        def start(command: tuple[str, ...], **options: Any) -> Any:
            return real((sys.executable, "-c", script, command[-1]), **options)

        self._patch.setattr("harness.executors.process.subprocess.Popen", start)
        folder = self.trial.next_attempt()
        job = Job(trial=make_trial(), number=folder.number, device="cpu", threads=1, import_folder="/")
        return local.run_attempt(job, folder, self.patience, on_event=on_event), folder  # type: ignore[arg-type]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Child:
    return _Child(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "killed by signal 9 (SIGKILL); likely out of host memory"),
        ("sys.exit(4)", "exited with code 4 and left no outcome"),
        ("os.abort()", "killed by signal 6 (SIGABRT)"),
        ("sys.exit(0)", "exited with code 0 and left no outcome"),
        ("print('first'); sys.exit('the last line')", "exited with code 1 and left no outcome: the last line"),
    ],
)
def test_a_child_that_says_nothing_gets_a_reason(code: str, reason: str, child: _Child) -> None:
    """Signals are named, exit codes told with the log's last line; the outcome is on disk."""
    ending, folder = child.run(code)
    assert (ending.attempt.outcome, ending.attempt.reason, ending.recorded) == ("failed", reason, False)
    assert record.decode(OUTCOME, folder.outcome.read_bytes(), "x").reason == reason


def test_events_arrive_whole_and_in_order(child: _Child) -> None:
    """Lines written in pieces are passed on once each, the last one too."""
    code = """
with open(folder + '/events.jsonl', 'w') as f:
    for n in range(300):
        f.write('{"event": "step", '); f.flush()
        if n % 100 == 50: time.sleep(0.6)
        f.write(f'"n": {n}}}\\n'); f.flush()
"""
    seen: list[object] = []
    child.run(code, on_event=seen.append)
    assert [event["n"] for event in seen if event is not None] == list(range(300))  # type: ignore[index]
    assert None in seen


def test_grandchildren_end_with_the_child(child: _Child) -> None:
    """A data-loader worker left behind would disturb the next trial's measurement."""
    code = "import subprocess\np = subprocess.Popen(('sleep', '600'))\nprint(p.pid, flush=True)"
    _, folder = child.run(code)
    pid = int(folder.log.read_text())
    for _ in range(50):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the grandchild lives on")


def test_the_machine_stops_the_run(child: _Child) -> None:
    """Exit code 3 is passed on as MachineError with the child's own words."""
    code = """
import json
json.dump({"outcome": "interrupted", "reason": "no such device", "retryable": True, "started_at": "", "wall_s": 1.0,
           "cause": "machine"},
          open(folder + '/outcome.json', 'w'))
sys.exit(3)
"""
    with pytest.raises(MachineError, match="no such device"):
        child.run(code)


def test_an_interruption_ends_the_child_and_is_recorded(child: _Child) -> None:
    """Ctrl-C: the whole group is gone within seconds, the attempt is marked interrupted, and the exception goes on."""

    def interrupt(event: object) -> None:
        if event is not None:
            raise KeyboardInterrupt

    code = """
open(folder + '/events.jsonl', 'w').write('{"event": "x"}\\n')
print(os.getpid(), flush=True)
time.sleep(600)
"""
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        child.run(code, on_event=interrupt)
    assert time.monotonic() - started < 15
    (folder,) = child.trial.attempts()
    assert record.decode(OUTCOME, folder.outcome.read_bytes(), "x").outcome == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(int(folder.log.read_text()), 0)


def test_cores_are_those_this_process_may_use() -> None:
    """At least one, and never more than its affinity."""
    assert 1 <= environment.available_cores() <= len(os.sched_getaffinity(0))
