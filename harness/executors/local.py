"""The usual executor: each attempt in a process of its own on this machine.

One trial's crash, hang, leak or out-of-memory never touches the next, and this process never imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.executors.environment import child_environment
from harness.processes.child import Child

if TYPE_CHECKING:
    from harness.store.job import Job
    from harness.store.paths import AttemptFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutor:
    """Runs each attempt in a child process with a session of its own.

    Attributes:
        poll_s: seconds between two polls: a parent that polls faster takes a core from the measurement beside it.
        program: python's arguments, before the folder; a test puts a script here.
    """

    poll_s: float = 0.5
    program: tuple[str, ...] = ("-m", "harness.trial")

    def submit(self, job: Job, folder: AttemptFolder) -> LocalJob:
        """Start the process.

        Raises:
            MachineError: the system has no room for another process.
        """
        arguments = (*self.program, str(folder.path))
        return LocalJob(Child(arguments, environment=child_environment(job.threads), log=folder.log))


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
