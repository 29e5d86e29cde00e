"""One attempt in a process that the fork server made: a runner's real child, without the seconds of its imports."""

from __future__ import annotations

import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from harness.processes import child
from harness.store.paths import AttemptFolder
from harness.trial.interrupt import InterruptHandler
from harness.trial.measure.memory import freeze_modules
from harness.trial.worker import run_attempt
from tests.executors.forked import served


def attempt(path: str) -> None:
    """Do what `python -m harness.trial PATH` does, and exit with its code."""
    began = time.perf_counter()
    os.setsid()  # whatever it starts ends with it
    multiprocessing.set_start_method(None, force=True)  # a fork server hands its own on
    folder = AttemptFolder(Path(path))
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    interrupt = InterruptHandler()
    interrupt.listen()
    freeze_modules()
    child.subprocess = served()  # type: ignore[assignment, attr-defined]
    sys.exit(run_attempt(folder, interrupt, began=began))
