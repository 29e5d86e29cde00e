"""The protocol of an executor (submit a job's folder, poll, cancel), and what an attempt comes to.

An executor brings a job to where it runs and says whether it still runs. It decides nothing: when to cancel, and what
an end means, is `harness.executors.supervise`'s business. What it returns is a hint; what lies in the folder is the
truth. To write one, give a class with these methods and no arguments, and name it: `--executor module:Class`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.store.job import Attempt, Job
    from harness.store.paths import AttemptFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """How an attempt ended, and whether its trial has a record now, or its turn in a race a result."""

    attempt: Attempt
    recorded: bool


class LostError(Exception):
    """The place where an attempt ran is gone, with whatever ran there; it may be tried elsewhere."""


class RunningJob(Protocol):
    """An attempt that was submitted."""

    def poll(self) -> int | None:
        """Return its exit code, or minus the number of the signal that killed it; None while it runs.

        It answers at once: seconds of waiting here look like a pause of this program, which counts for no timeout.

        Raises:
            Interrupted: a signal asked this process to stop, and the attempt runs in this process.
            LostError: the place where it ran is gone.
        """

    def cancel(self, *, grace_s: float) -> None:
        """End the attempt and everything that it started; when this returns nothing of it runs.

        It is also called for an attempt that has ended by itself, and more than once.

        Args:
            grace_s: seconds that it has to leave a checkpoint; 0 ends it at once.

        Raises:
            MachineError: it cannot be ended.
        """

    def dump_stacks(self) -> None:
        """Have the attempt write the stacks of its threads into its log, if it can."""


class QueuedJob(Protocol):
    """What a running job may have beside the methods of `RunningJob`, where it may have to wait for its place."""

    def waits(self) -> bool:
        """Return whether it still waits for its place: that time counts for no timeout."""


class FindingExecutor(Protocol):
    """What an executor may have beside the methods of `Executor`, where an attempt outlives the runner."""

    def find(self, folder: AttemptFolder) -> RunningJob | None:
        """Return the attempt of this folder, which an earlier run has submitted; None where nothing of it is left."""


class Executor(Protocol):
    """A place where attempts run, several at the same time unless it has an attribute `one_at_a_time` that is true."""

    @property
    def poll_s(self) -> float:
        """Seconds between two polls."""

    def submit(self, job: Job, folder: AttemptFolder) -> RunningJob:
        """Start the attempt whose folder holds `job`; it does what `python -m harness.trial FOLDER` does.

        Its output goes to `folder.log`.

        Raises:
            MachineError: it cannot be started here.
        """
