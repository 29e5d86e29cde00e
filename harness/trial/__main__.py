"""python -m harness.trial ATTEMPT_DIR: run one attempt and exit with its code."""

import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from harness.store.files import AttemptFolder
from harness.trial.worker import run_attempt

_OPEN_FILES = 8192


def _end_with(parent: int) -> None:
    """End this process and its loaders when the runner is gone: an orphan would hold the device, and race a new run."""
    while os.getppid() == parent:
        time.sleep(1)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)  # twenty lines at each evaluation
    # Each tensor on its way from a worker process takes a file descriptor, and 1,024 are soon used up.
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most_files == resource.RLIM_INFINITY else min(_OPEN_FILES, most_files)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, wanted), most_files))
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.exit(run_attempt(AttemptFolder(Path(sys.argv[1]))))
