"""A process that answers one request of the API: it reads `request.json` in a folder and leaves `answer.json` there.

What goes wrong is left as `problem.txt`, and told by the exit code.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.errors import HarnessError, WeightsError
from harness.suite.catalog import registry
from harness.trial import failure
from harness.trial.models import checkpoint
from harness.trial.models.registry import row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from harness.store.shipping import FineTuned
    from harness.suite.catalog.architecture import Architecture
    from harness.trial.models.base import Detector

T = TypeVar("T")
R = TypeVar("R")


def answer(folder: Path, asked: TypeAdapter[T], answered: TypeAdapter[R], work: Callable[[T], R]) -> int:
    """Answer the request in a folder by `work`; returns the exit code of the process."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        done = work(asked.validate_json((folder / "request.json").read_bytes()))
    except HarnessError as error:
        code, text = error.exit_code, str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of a library or of the user's code: told in one sentence
        failed = failure.classify(error)
        code, text = failed.code, failed.reason
    else:
        (folder / "answer.json").write_bytes(answered.dump_json(done))
        return 0
    (folder / "problem.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
    return code


def load(model: FineTuned) -> tuple[Architecture, Detector, tuple[str, ...]]:
    """The row, the fine-tuned detector on the CPU and in evaluation mode, and its class names; label 1 is the first.

    Raises:
        TrialError: the weights or the architecture cannot be used.
    """
    path = Path(model.weights)
    row = _row(model)
    detector, class_names = checkpoint.load_detector(path, row)
    if row is None:
        row, _ = registry.find(checkpoint.header(path)["architecture"], Path.cwd())
    return row, detector, class_names


def _row(model: FineTuned) -> Architecture | None:
    """The row that the trial names, or the user; None: the one that the file names, of those that come installed."""
    if model.record is not None:
        return row_of(model.record.trial.architecture, Path(model.import_folder))
    if model.architecture is None:
        return None
    try:
        return registry.find(model.architecture, Path(model.import_folder))[0]
    except (ImportError, LookupError, TypeError) as error:
        raise WeightsError(f"architecture {model.architecture}: {error}") from error
