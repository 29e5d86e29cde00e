"""Fine-tuned weights that a person names, their score thresholds, and the process that runs them.

Shared by `predict` and `export`: the work itself is `harness.trial`'s, in a process of its own, which imports torch.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.errors import MachineError, TrialError, UsageError
from harness.executors.environment import available_cores, child_environment
from harness.processes.child import run_module
from harness.store.paths import TrialFolder
from harness.store.results import find_trial, last_job, read_record_of_weights
from harness.store.shipping import FineTuned, Thresholds
from harness.suite.schema import Protocol

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from harness.store.record import Record

T = TypeVar("T")
R = TypeVar("R")
_ERRORS = {2: UsageError, 3: MachineError}


def find_weights(target: str | Path, results: Path, architecture: str | None) -> FineTuned:
    """Find the weights that a person means.

    Args:
        target: a file of weights, or the id of a trial; the start of the id is enough.
        results: the folder in which a trial is looked for.
        architecture: the import path of an architecture of the user's own, for a file of weights that belongs to no
            trial: such a file never decides by itself which code is run.

    Raises:
        UsageError: there is no such trial or file, or the trial has no weights.
    """
    path = Path(target)
    if path.is_file():
        found = None if architecture else read_record_of_weights(path)
        if found is not None:
            return _trained(*found)
        return FineTuned(
            weights=str(path.resolve()), record=None, import_folder=str(Path.cwd()), architecture=architecture
        )
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a pipe or a device; give a file of weights, or the id of a trial")
    if architecture is not None:
        raise UsageError(f"{target}: is no file; --architecture is for a file of weights that belongs to no trial")
    folder, state = find_trial(str(target), results)
    if state.record is None:
        raise UsageError(f"{state.trial.trial_id}: has no record, so no finished weights; `harness run` makes them")
    return _trained(folder.trial(state.trial.trial_id), state.record)


def _trained(folder: TrialFolder, record: Record) -> FineTuned:
    weights = folder.path / record.model.checkpoint
    if not weights.is_file():
        raise UsageError(f"{weights}: is not there any more; without its weights a trial can only be run again")
    job = last_job(folder)
    return FineTuned(
        weights=str(weights.resolve()),
        record=record,
        import_folder=job.import_folder if job is not None else str(folder.path.resolve()),
        architecture=None,
    )


def trial_folder(model: FineTuned) -> TrialFolder | None:
    """The folder of the trial that made the weights; None for weights of no trial."""
    return None if model.record is None else TrialFolder(Path(model.weights).parents[1])


def protocol_of(model: FineTuned) -> Protocol:
    """The measurement protocol of the weights' trial; the default one for weights of no trial."""
    return Protocol() if model.record is None else model.record.trial.protocol


def name_of(model: FineTuned) -> str:
    """What folders of results are called after: the trial's id, or the file's name without its suffix."""
    return Path(model.weights).stem if model.record is None else model.record.trial.trial_id


def choose_thresholds(model: FineTuned, score_threshold: float | None) -> Thresholds:
    """From which score on a detection counts.

    The given threshold; else those of best F1 on the trial's evaluated split, class by class; else the protocol's.
    """
    if score_threshold is not None:
        return Thresholds(by_class={}, default=score_threshold, source="given")
    default = protocol_of(model).deployment_score_threshold
    folder = trial_folder(model)
    best: dict[str, float] = {}
    if folder is not None and model.record is not None:
        from harness.analysis.detections.stored_thresholds import best_thresholds

        best = best_thresholds(folder, model.record)
    if not best or model.record is None:
        return Thresholds(by_class={}, default=default, source="the protocol's deployment threshold")
    source = f"best F1 of each class on {model.record.metrics.split}"
    return Thresholds(by_class=best, default=default, source=source)


def run_apart(
    module: str, request: T, asked: TypeAdapter[T], answered: TypeAdapter[R], *, threads: int | None = None
) -> R:
    """Run `python -m MODULE FOLDER` on a request, and return its answer; it prints to this process' terminal.

    Raises:
        HarnessError: what the process says that it failed for.
        MachineError: it ended without saying why.
    """
    encoding = {"PYTHONIOENCODING": os.environ.get("PYTHONIOENCODING", "")}
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        (Path(folder) / "request.json").write_bytes(asked.dump_json(request))
        environment = child_environment(threads or available_cores()) | encoding
        code = run_module(module, folder, environment=environment).exit_code
        problem, answer = Path(folder) / "problem.txt", Path(folder) / "answer.json"
        if problem.is_file():
            raise _ERRORS.get(code, TrialError)(problem.read_text(encoding="utf-8"))
        if code or not answer.is_file():
            raise MachineError(f"the process of {module} ended with exit code {code} (out of memory?)")
        return answered.validate_json(answer.read_bytes())
