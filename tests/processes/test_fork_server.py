"""What the fork server forks is the runner's child like any other; nothing outlives the runner."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.executors.environment import child_environment
from harness.executors.local import LocalExecutor
from harness.processes.fork_server import ForkServer
from harness.store.job import Job
from harness.store.paths import TrialFolder
from tests.conftest import ROOT
from tests.faults.runs import wait_for
from tests.store.make import make_trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.processes.forked import ForkedProcess
    from harness.store.paths import AttemptFolder


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer(child_environment(1))
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    """The folder of an attempt that waits for somebody to open the other end of its job, which is a pipe."""
    folder = TrialFolder(tmp_path / "trial").next_attempt()
    os.mkfifo(folder.job)
    return folder


@contextlib.contextmanager
def _started(server: ForkServer, folder: AttemptFolder) -> Iterator[ForkedProcess]:
    """A process that is ended afterwards, with its guard, which would hold its output open."""
    process = server.start(str(folder.path))
    assert process is not None
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        process.stdin.close()
        process.stdout.close()


def _status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))


def test_a_forked_process_is_a_child_of_the_runner(server: ForkServer, folder: AttemptFolder) -> None:
    """With a session and a group of its own, the server's environment, and a command that names its folder."""
    with _started(server, folder) as process:
        assert _status(process.pid, "PPid") == str(os.getpid())
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        command = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0 ")
        assert command.endswith(f"-m harness.trial {folder.path}")
        assert process.poll() is None
        process.kill()
        process.wait(timeout=60)
        assert process.poll() == -signal.SIGKILL


def test_its_end_is_told(server: ForkServer, folder: AttemptFolder) -> None:
    """The exit code of an attempt that fails, and what it printed; the server goes on to fork the next one."""
    for _ in range(2):
        with _started(server, folder) as process:
            folder.job.write_bytes(b"no job")
            process.wait(timeout=60)
            assert process.poll() == 1
            os.killpg(process.pid, signal.SIGKILL)
            assert str(folder.job).encode() in process.stdout.read()


def test_two_at_once_end_apart(server: ForkServer, folder: AttemptFolder) -> None:
    """A killed one takes neither the server nor the other with it."""
    with _started(server, folder) as first, _started(server, folder) as second:
        first.kill()
        first.wait(timeout=60)
        assert second.poll() is None
        second.terminate()
        second.wait(timeout=60)
        assert second.poll() not in {None, -signal.SIGKILL}


def test_waiting_has_an_end(server: ForkServer, folder: AttemptFolder) -> None:
    """As that for any process."""
    with _started(server, folder) as process, pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.05)


def test_without_the_server_a_process_is_started_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel may have killed it for its memory: an attempt is lost neither then nor later."""
    executor = LocalExecutor()
    place = TrialFolder(tmp_path / "trial")
    parents = []
    for number in range(1, 4):
        folder = place.next_attempt()
        folder.job.write_bytes(b"no job")
        job = Job(trial=make_trial(), number=number, device="cpu", threads=1, import_folder="/")
        if number == 2:
            assert executor._server is not None
            executor._server._process.kill()
            executor._server._process.wait()
        running = executor.submit(job, folder)
        parents.append(executor._server)
        while running.poll() is None:
            time.sleep(0.05)
        assert running.poll() == 1
        running.cancel(grace_s=0)
        assert str(folder.job) in folder.log.read_text()
    assert parents[1] is None
    assert None not in {parents[0], parents[2]}
    assert caplog.text.count("no process could be forked") == 1


@pytest.mark.slow
def test_other_threads_are_another_server(tmp_path: Path) -> None:
    """The number of threads is read when torch is imported, so a server has one for good."""
    executor = LocalExecutor()
    servers = []
    for threads in (1, 1, 2):
        folder = TrialFolder(tmp_path / "trial").next_attempt()
        os.mkfifo(folder.job)
        running = executor.submit(
            Job(trial=make_trial(), number=1, device="cpu", threads=threads, import_folder="/"), folder
        )
        servers.append(executor._server)
        running.cancel(grace_s=0)
    assert servers[0] is servers[1]
    assert servers[2] is not servers[1]


def test_a_gpu_is_left_to_new_processes(tmp_path: Path) -> None:
    """Whatever a driver keeps for a process, no fork of it may share."""
    executor = LocalExecutor()
    folder = TrialFolder(tmp_path / "trial").next_attempt()
    job = Job(trial=make_trial(), number=1, device="cuda:0", threads=1, import_folder="/")
    executor.submit(job, folder).cancel(grace_s=0)
    assert executor._server is None


def test_nothing_outlives_a_runner_that_is_killed(folder: AttemptFolder) -> None:
    """Neither the server, nor what it forked."""
    code = (
        "import sys, time\nfrom harness.executors.environment import child_environment\n"
        "from harness.processes.fork_server import ForkServer\nserver = ForkServer(child_environment(1))\n"
        f"process = server.start({str(folder.path)!r})\nprint(server._process.pid, process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, env=environment) as runner:
        assert runner.stdout is not None
        pids = [int(word) for word in runner.stdout.readline().split()]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        runner.kill()

    def gone(pid: int) -> bool:
        with contextlib.suppress(OSError):
            return _status(pid, "State").startswith("Z")  # whoever adopted it has not asked yet
        return True

    wait_for(lambda: all(map(gone, pids)), "the end of both")
