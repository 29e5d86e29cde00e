"""The usual executor: each attempt in a process of its own on this machine.

One trial's crash, hang, leak or out-of-memory never touches the next, and this process never imports torch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.executors.environment import child_environment
from harness.processes import fork_server
from harness.processes.child import Child
from harness.processes.fork_server import ForkServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.processes.forked import ForkedProcess
    from harness.store.job import Job
    from harness.store.paths import AttemptFolder

log = logging.getLogger(__name__)

_TRIAL = ("-m", "harness.trial")


@dataclass(slots=True, kw_only=True)
class LocalExecutor:
    """Runs each attempt in a child process with a session of its own.

    On a CPU the children are forked from a process that has imported torch, which would take each of them seconds.

    Attributes:
        poll_s: seconds between two polls: a parent that polls faster takes a core from the measurement beside it.
        program: python's arguments, before the folder; a test puts a script here.
    """

    poll_s: float = 0.5
    program: tuple[str, ...] = _TRIAL
    _server: ForkServer | None = None

    def submit(self, job: Job, folder: AttemptFolder) -> LocalJob:
        """Start the process.

        Raises:
            MachineError: the system has no room for another process.
        """
        environment = child_environment(job.threads)
        forked = None
        if job.device == "cpu" and self.program == _TRIAL and fork_server.AVAILABLE:
            forked = self._fork(folder, environment)
        arguments = (*self.program, str(folder.path))
        return LocalJob(Child(arguments, environment=environment, log=folder.log, forked=forked))

    def _fork(self, folder: AttemptFolder, environment: Mapping[str, str]) -> ForkedProcess | None:
        """Fork the process of an attempt; None if the fork server is gone, which the next attempt starts again."""
        if self._server is not None and self._server.environment != environment:
            self._server.close()
            self._server = None
        self._server = self._server or ForkServer(environment)
        forked = self._server.start(str(folder.path))
        if forked is None:
            log.warning("%s: no process could be forked for it, so it is started anew", folder.path)
            self._server.close()
            self._server = None
        return forked


class LocalJob:
    """An attempt in a child process."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def poll(self) -> int | None:
        """Return the exit code of the process, or minus the signal that killed it; None while it runs."""
        return self._child.exit_code()

    def cancel(self, *, grace_s: float) -> None:
        """Ask the process to stop, wait up to `grace_s` seconds, then kill it and everything that it started.

        Raises:
            MachineError: the kernel cannot end it.
        """
        try:
            if grace_s and self._child.exit_code() is None:
                self._child.ask_to_stop(grace_s=grace_s)
        finally:  # at once, where a second signal cuts the wait short
            self._child.end()

    def dump_stacks(self) -> None:
        """Have each of its processes write the stacks of its threads into the log."""
        self._child.dump_stacks()
