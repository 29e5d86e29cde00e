"""What runs on a Ray node: one process of a trial, started, stopped and ended as on the runner's own machine."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from harness.executors.environment import child_environment
from harness.processes.child import Child
from harness.store.paths import AttemptFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

_POLL_S = 0.2
_LINGER_S = 60.0


class Worker:
    """The class of an actor: it runs an attempt from its first moment on, and its methods answer meanwhile.

    Args:
        program: python's arguments, before the folder.
        folder: of the attempt.
        threads: CPU threads of its process, whose environment is this worker's: Ray names its GPU there.
    """

    def __init__(self, program: Sequence[str], folder: str, threads: int) -> None:
        log_file = AttemptFolder(Path(folder)).log
        self._child = Child((*program, folder), environment=child_environment(threads), log=log_file)
        self._ended = threading.Event()
        self._code = -9
        threading.Thread(target=self._follow, daemon=True).start()

    def started(self) -> bool:
        """Answer, which says that the cluster had room."""
        return True

    def wait(self) -> int:
        """Wait for the end of the attempt; return its exit code, or minus the signal that killed it."""
        self._ended.wait()
        return self._code

    def stop(self, grace_s: float) -> None:
        """Ask the process to stop, and wait up to so many seconds."""
        self._child.ask_to_stop(grace_s=grace_s)

    def dump_stacks(self) -> None:
        """Have the process write the stacks of its threads into its log."""
        self._child.dump_stacks()

    def _follow(self) -> None:
        """End with the attempt: the runner ends this worker once it has heard; without one it must not keep its GPU."""
        while (code := self._child.exit_code()) is None:
            self._ended.wait(_POLL_S)
        self._code = code
        try:
            self._child.end()
        except Exception:
            log.exception("what the attempt has left running cannot be ended")
        self._ended.set()
        threading.Timer(_LINGER_S, os._exit, (0,)).start()
