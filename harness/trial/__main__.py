"""python -m harness.trial FOLDER: run the attempt whose job lies in FOLDER, and exit with its code.

With --fork-server in place of FOLDER it imports what that needs, and forks a process for each folder that it is told.

Owns what belongs to the process: its guard, signals, logging and limits. Standard input is a pipe whose other end the
runner holds and never writes to: when it closes, the runner is gone.
"""

import faulthandler
import logging
import os
import resource
import signal
import stat
import sys
import time
from pathlib import Path

_BEGAN = time.perf_counter()
_OPEN_FILES = 8192


def _end_with_runner() -> None:
    """Fork a guard that ends this process group once the runner is gone.

    An orphan would hold the device and race a new run. The guard is a process, not a thread: a library that holds
    python's lock cannot hold it up.
    """
    if not stat.S_ISFIFO(os.fstat(0).st_mode) or os.getpgrp() != os.getpid():
        return  # started by hand
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _prepare() -> None:
    """Tie this process to the runner, let that ask where it hangs, and keep what it starts apart from other trials'."""
    _end_with_runner()
    adopt_orphans()
    faulthandler.register(signal.SIGUSR1, all_threads=True)


if __name__ == "__main__":
    from harness.processes import fork_server
    from harness.processes.child import adopt_orphans

    serves = sys.argv[1] == fork_server.ARGUMENT
    if not serves:
        _prepare()

    from harness.store.paths import AttemptFolder
    from harness.trial.interrupt import InterruptHandler
    from harness.trial.measure import resident
    from harness.trial.measure.memory import freeze_modules
    from harness.trial.worker import run_attempt

    folder = sys.argv[1]
    if serves:
        import hotcoco  # noqa: F401

        freeze_modules()
        pages = resident.resident_file_pages()
        folder = fork_server.serve()  # from here on this is the process of one attempt
        _BEGAN = time.perf_counter()
        _prepare()
        resident.make_resident(pages)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Each tensor on its way from a worker process takes a file descriptor, and 1,024 are soon used up.
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most_files == resource.RLIM_INFINITY else min(_OPEN_FILES, most_files)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, wanted), most_files))
    interrupt = InterruptHandler()
    interrupt.listen()
    freeze_modules()
    sys.exit(run_attempt(AttemptFolder(Path(folder)), interrupt, began=_BEGAN))
