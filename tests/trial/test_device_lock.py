"""Whoever times something has the device alone: others make way between two steps, and nobody waits for ever."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from harness.trial.device_lock import FOLDER, DeviceLock, name_of
from tests.conftest import ROOT
from tests.faults.runs import wait_for

# A process that works step by step, or times something three times, and writes when it does what.
SIDE = """
import sys, time
from harness.trial.device_lock import DeviceLock
role, path = sys.argv[1:]
lock = DeviceLock("device")
def write(what):
    with open(path, "a") as stream:
        stream.write(f"{role} {what} {time.monotonic()}\\n")
lock.share()
if role == "times":
    for _ in range(3):
        with lock.alone():
            write("begins")
            time.sleep(0.3)
            write("ends")
else:
    while True:
        time.sleep(0.02)
        write("step")
        lock.make_way()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "locks"))
    return tmp_path / "locks"


def _start(role: str, path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen((sys.executable, "-c", SIDE, role, str(path)), env=environment)


def test_steps_stand_still_while_another_is_timed(tmp_path: Path) -> None:
    """Two that train and two that time: no step and no other timing within one, and all come to their turns."""
    path = tmp_path / "told"
    workers = [_start("trains", path), _start("trains", path)]
    try:
        wait_for(lambda: path.exists() and path.read_text().count("step") > 20, "the workers' steps")
        timers = [_start("times", path), _start("times", path)]
        assert [timer.wait(timeout=60) for timer in timers] == [0, 0]
        after = path.read_text().count("step")
        wait_for(lambda: path.read_text().count("step") > after + 20, "steps after the timings")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    rows = sorted((float(moment), what) for _, what, moment in map(str.split, path.read_text().splitlines()))
    timed = 0
    for (_, what), (_, following) in itertools.pairwise(rows):
        if what == "begins":
            assert following == "ends"
            timed += 1
    assert timed == 6


def test_one_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    """The system takes its locks back."""
    path = tmp_path / "told"
    worker = _start("trains", path)
    wait_for(lambda: path.exists() and path.read_text().count("step") > 3, "the worker's steps")
    worker.send_signal(signal.SIGSTOP)

    def kill() -> bool:
        worker.kill()
        return False

    began = time.monotonic()
    with DeviceLock("device", give_up=kill).alone():
        worker.wait()
    assert time.monotonic() - began < 30


def test_one_that_stands_still_is_not_waited_for_for_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is anybody waited for once this process was asked to stop."""
    path = tmp_path / "told"
    worker = _start("trains", path)
    wait_for(lambda: path.exists() and path.read_text().count("step") > 3, "the worker's steps")
    worker.send_signal(signal.SIGSTOP)
    try:
        with DeviceLock("device", most_s=0.3).alone():
            assert "another process did not make way" in caplog.text
        caplog.clear()
        with DeviceLock("device", give_up=lambda: True).alone():
            assert not caplog.text
    finally:
        worker.kill()
        worker.wait()


def test_what_cannot_be_locked_is_not(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that cannot be made costs a line in the log; without a name nothing is held."""
    folder.write_text("no folder")
    lock = DeviceLock("device")
    assert "nothing keeps other trials from the device" in caplog.text
    lock.share()
    with lock.alone(), DeviceLock(None).alone():
        lock.make_way()
    with lock.left():
        lock.close()


def test_a_device_has_one_name_for_all() -> None:
    """Of the cores that may be used: other cores are another device."""
    name = name_of(torch.device("cpu"))
    assert name == name_of(torch.device("cpu"))
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        os.sched_setaffinity(0, {min(cores)})
        try:
            assert name_of(torch.device("cpu")) != name
        finally:
            os.sched_setaffinity(0, cores)
