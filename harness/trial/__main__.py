"""python -m harness.trial ATTEMPT_DIR: run one attempt and exit with its code."""

import logging
import sys
from pathlib import Path

from harness.store.files import AttemptFolder
from harness.trial.worker import run_attempt

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)  # twenty lines at each evaluation
    sys.exit(run_attempt(AttemptFolder(Path(sys.argv[1]))))
