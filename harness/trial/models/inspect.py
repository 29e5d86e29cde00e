"""python -m harness.trial.models.inspect CHECKPOINT: print as JSON what a checkpoint says of its detector."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness import printing
from harness.errors import HarnessError
from harness.trial.models import checkpoint


def main(path: Path) -> int:
    """Print the header, or one message on the error stream; returns the exit code."""
    try:
        print(json.dumps(checkpoint.header(path)))
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    printing.protect()
    sys.exit(main(Path(sys.argv[1])))
