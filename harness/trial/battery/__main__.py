"""python -m harness.trial.battery REQUEST RESULTS: check an architecture, and append each result as a line of JSON."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness import printing
from harness.errors import HarnessError, TrialError
from harness.store.checks import REQUEST, RESULT, CheckResult
from harness.suite import user_code
from harness.suite.catalog import registry
from harness.suite.catalog.architecture import Architecture
from harness.suite.catalog.own import own_model
from harness.suite.schema import Protocol
from harness.suite.validators import WEIGHTS_WORDS
from harness.suite.weights import hub_or_folder
from harness.trial import environment
from harness.trial.battery import checks
from harness.trial.battery.reduced import reduced_options, reduced_size
from harness.trial.battery.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.store.checks import CheckRequest
    from harness.suite.schema import ImageSize

FOUND = "found"


def main(request_file: Path, results_file: Path) -> int:
    """Run the checks; the exit code is 0 however they end."""
    request = REQUEST.validate_json(request_file.read_bytes())
    with results_file.open("ab", buffering=0) as stream, tempfile.TemporaryDirectory() as folder:

        def write(result: CheckResult) -> None:
            stream.write(RESULT.dump_json(result) + b"\n")

        for name in (FOUND, *checks.names(compiled=request.compiled)):
            write(CheckResult(name=name, outcome="not run"))
        subject = _subject(request, Path(folder), write)
        if subject is not None:
            for result in checks.run(subject, compiled=request.compiled):
                write(result)
    return 0


def find_row(path: str, folder: Path) -> Architecture:
    """The row of a name or an import path; an import path of a function is one of a network of the user's own.

    Raises:
        TrialError: there is none.
    """
    try:
        if path in registry.BUILT_IN or ":" not in path:
            return registry.find(path, folder)[0]
        module, _, name = path.rpartition(":")
        absolute = f"{folder / module}:{name}" if module.endswith(".py") else path
        if isinstance(user_code.load_attribute(absolute, folder), Architecture):
            return registry.load_row(absolute, folder)
        return own_model(name, absolute)
    except LookupError:
        known = ", ".join(registry.names())
        raise TrialError(f"there is no architecture {path}; known: {known}; or module:NAME, file.py:NAME") from None
    except (ImportError, TypeError) as error:
        raise TrialError(f"{path}: {error}") from None


def _subject(request: CheckRequest, folder: Path, write: Callable[[CheckResult], None]) -> Subject | None:
    """What is to be checked; None, and a failed result, where it cannot be found or takes no such options."""
    write(CheckResult(name=FOUND, outcome="running"))
    try:
        row = find_row(request.architecture, Path(request.folder))
        device = environment.choose_device(request.device)
        environment.prepare(device, Protocol(), threads=torch.get_num_threads(), seed=0)
        options = {name: _option(row, name, value, Path(request.folder)) for name, value in request.model.items()}
        size = request.image_size or reduced_size(row)
        _refuse_unfit(row, size, request.weights)
    except HarnessError as error:
        write(CheckResult(name=FOUND, outcome="failed", detail=str(error)))
        return None
    if request.image_size is None:
        options = reduced_options(row) | options
    chosen = "".join(f", {name} {value}" for name, value in options.items())
    write(
        CheckResult(
            name=FOUND,
            outcome="passed",
            detail=f"{row.name}: {request.classes} classes, image size {size.min}/{size.max}, {device}, "
            f"{request.precision}, weights {request.weights}{chosen}",
        )
    )
    return Subject(
        row=row,
        classes=request.classes,
        image_size=size,
        weights=request.weights,
        options=options,
        device=device,
        precision=request.precision,
        folder=folder,
    )


def _refuse_unfit(row: Architecture, size: ImageSize, weights: str) -> None:
    """Raise a TrialError for an image size or a word for weights that a suite could not give this architecture."""
    words = row.weights_words()
    if weights in WEIGHTS_WORDS and weights not in words:
        raise TrialError(f"{row.name} takes {', '.join(words)} or a file of weights, got {weights}")
    problem = row.unfit_size(size.min, size.max)
    if problem:
        raise TrialError(problem)


def _option(row: Architecture, name: str, value: object, folder: Path) -> object:
    option = row.find_option(name)
    if option is None:
        known = f"known: {', '.join(known.name for known in row.options)}" if row.options else "it has none"
        raise TrialError(f"{row.name} has no option {name}; {known}")
    try:
        return hub_or_folder(str(option.read(value)), folder) if option.folders else option.read(value)
    except ValueError as error:
        raise TrialError(f"{row.name}: {name} {error}") from None


if __name__ == "__main__":
    printing.protect()
    sys.exit(main(*map(Path, sys.argv[1:])))
