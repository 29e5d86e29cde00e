"""What is started here ends here, and says how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.executors.environment import child_environment
from harness.processes.child import Child, run_module
from tests.conftest import ROOT
from tests.faults.runs import wait_for


def test_a_command_returns_what_it_printed_and_its_code() -> None:
    """Output and errors apart; a module that is not there is an exit code, not an exception."""
    done = run_module("this", environment=child_environment(1), capture=True)
    assert (done.exit_code, done.errors) == (0, "")
    assert "The Zen of Python" in done.output
    missing = run_module("no_such_module", environment=child_environment(1), capture=True)
    assert missing.exit_code == 1
    assert "No module named no_such_module" in missing.errors


def test_a_child_of_this_group_ends_alone(tmp_path: Path) -> None:
    """A variant's process shares the trial's group: ending it must not end the trial."""
    process = Child(("-c", "import time; time.sleep(600)"), own_session=False)
    pid = process._process.pid
    assert os.getpgid(pid) == os.getpgrp()
    process.end()
    assert process.exit_code() == -9
    assert not Path(f"/proc/{pid}").exists()


def test_no_room_for_a_process_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at its limit of processes stops the run with a sentence, and finished trials are kept."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(MachineError, match=r"no process can be started: Resource temporarily unavailable; .*ulimit -u"):
        Child(("-c", "pass"))


def test_a_command_holds_a_pipe_to_this_process(tmp_path: Path) -> None:
    """By which it notices that this process is gone (`harness.workers`); it leads its group."""
    (tmp_path / "said.py").write_text(
        "import os, stat\nprint(stat.S_ISFIFO(os.fstat(0).st_mode), os.getpgrp() == os.getpid())\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    done = run_module("said", environment={**child_environment(1), "PYTHONPATH": path}, capture=True)
    assert (done.output, done.errors) == ("True True\n", "")


def test_stacks_are_asked_of_those_who_can_tell(tmp_path: Path) -> None:
    """Of our own processes; a program that they started would be ended by being asked."""
    code = (
        "import faulthandler, signal, subprocess\nfaulthandler.register(signal.SIGUSR1)\n"
        "with subprocess.Popen(('sleep', '600')) as other:\n    print(other.pid, flush=True)\n"
    )
    log = tmp_path / "log.txt"
    process = Child(("-c", code), log=log)
    try:
        wait_for(lambda: log.is_file() and log.read_text().endswith("\n"), "the other's number")
        other = int(log.read_text())
        process.dump_stacks()
        wait_for(lambda: "most recent call first" in log.read_text(), "the stacks")
        assert process.exit_code() is None
        assert Path(f"/proc/{other}/stat").read_text().split()[2] == "S"
    finally:
        process.end()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing adopts orphans")
def test_what_left_one_child_is_not_taken_for_anothers(tmp_path: Path) -> None:
    """Of two that run at once, each with a process that left its session: the end of one ends its own alone."""
    code = """
import os, subprocess, sys, time
from harness.processes.child import adopt_orphans
adopt_orphans()  # as a trial's process does
if os.fork() == 0:
    os.setsid()
    away = subprocess.Popen(("sleep", "600"))
    with open(sys.argv[1] + ".part", "w") as stream:
        stream.write(str(away.pid))
    os.replace(sys.argv[1] + ".part", sys.argv[1])
    os._exit(0)
time.sleep(600)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first, second = (Child(("-c", code, str(tmp_path / name)), environment=environment) for name in "ab")
    try:
        wait_for(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), "both to have started theirs")
        away, other = (int((tmp_path / name).read_text()) for name in "ab")
        first.end()
        assert not Path(f"/proc/{away}").exists()
        assert Path(f"/proc/{other}").exists()
        assert second.exit_code() is None
    finally:
        second.end()
        first.end()
    assert not Path(f"/proc/{other}").exists()
