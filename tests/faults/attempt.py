"""One attempt of a trial, for a fork server: the real child without the seconds of its imports."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from harness.store.paths import AttemptFolder
from harness.trial.interrupt import InterruptHandler
from harness.trial.worker import run_attempt


def attempt(path: str) -> None:
    interrupt = InterruptHandler()
    interrupt.listen()
    sys.stdout = sys.stderr = Path(path, "log.txt").open("a")  # noqa: SIM115 - as long as the process
    sys.exit(run_attempt(AttemptFolder(Path(path)), interrupt, began=time.perf_counter()))
