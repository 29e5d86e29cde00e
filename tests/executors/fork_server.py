"""An executor for tests: attempts are forked from a process that has imported torch already.

Each is a process of its own, as the local executor has it, without the seconds of its imports. Name it to a command as
`--executor tests.executors.fork_server:ForkServerExecutor`, or take the fixture `fast_executor`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any

from harness.store.job import Job
from harness.store.paths import AttemptFolder

_PRELOADED = [
    "tests.executors.attempt",
    "hotcoco",
    "harness.trial.doctor",
    "harness.trial.variants",
    "harness.api.suite",
    "harness.cli.run",
    "harness.report.write",
]


def fork_from(function: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Start a process of the fork server; what that starts by this function comes from the same server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    server: Any = forkserver._forkserver
    server.ensure_running()
    address = server._forkserver_address
    process = context.Process(target=_run, args=(function, address, *arguments))
    process.start()
    return process


def _run(function: Callable[..., object], address: str, *arguments: object) -> None:
    """In the forked process: remember where its fork server listens, which multiprocessing does not."""
    server: Any = forkserver._forkserver
    server._forkserver_address = address
    server.ensure_running = lambda: None
    function(*arguments)


def _attempt(path: str) -> None:
    """Run the attempt, in the forked process; the process of the tests need not import torch for it."""
    from tests.executors.attempt import attempt

    attempt(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerExecutor:
    """Forks each attempt from the fork server of this process."""

    poll_s: float = 0.02

    def submit(self, job: Job, folder: AttemptFolder) -> ForkedJob:
        """Fork the process of the attempt."""
        return ForkedJob(fork_from(_attempt, str(folder.path)))


class ForkedJob:
    """An attempt in a forked process."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def cancel(self, *, grace_s: float) -> None:
        if grace_s and self._process.is_alive():
            self._process.terminate()
            self._process.join(grace_s)
        if self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()  # where it was not yet the leader of a group
        self._process.join()

    def dump_stacks(self) -> None:
        if self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGUSR1)
