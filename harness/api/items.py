"""Check a user's own Dataset: a process of its own reads its items, because only that may run the user's code."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from harness.data.check import CheckResult
from harness.data.own_items import ANSWER, REQUEST, ItemsRequest
from harness.data.problems import Findings, Place
from harness.executors.environment import available_cores, child_environment
from harness.processes.child import run_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.data.own_items import SplitItems
    from harness.processes.child import Completed
    from harness.suite.schema import ImageSize, PythonDataset


def check_items(dataset: PythonDataset, *, folder: Path, image_sizes: Sequence[ImageSize]) -> CheckResult:
    """Read the items of a dataset, or as many as five minutes allow, and return what is wrong with them.

    Args:
        dataset: the dataset.
        folder: the suite's folder, in which the user's modules are searched.
        image_sizes: the resize of each detector that is to be trained on it.

    Raises:
        MachineError: the system has no room for another process.
    """
    request = ItemsRequest(dataset=dataset, import_folder=str(folder), image_sizes=tuple(image_sizes))
    with tempfile.TemporaryDirectory(prefix="harness-") as temporary:
        request_file, answer_file = Path(temporary) / "request.json", Path(temporary) / "answer.json"
        request_file.write_bytes(REQUEST.dump_json(request))
        completed = run_module(
            "harness.trial.inputs.check",
            str(request_file),
            str(answer_file),
            environment=child_environment(available_cores()),
            capture=True,
        )
        try:
            splits = ANSWER.validate_json(answer_file.read_bytes())
        except (OSError, ValidationError):
            splits = {}
    findings = _findings(splits)
    if not splits:
        findings.add("bad_item", Place(file="", detail=_how_it_ended(completed)))
    return CheckResult(
        format="python",
        class_names=dataset.classes,
        splits={name: (split.items, split.boxes) for name, split in splits.items()},
        problems=findings.problems(),
        read=(sum(s.read for s in splits.values()), sum(s.items for s in splits.values())) if splits else None,
    )


def _findings(splits: Mapping[str, SplitItems]) -> Findings:
    findings = Findings()
    for split in splits.values():
        for problem in split.problems:
            where, _, detail = problem.partition(": ")
            findings.add("bad_item", Place(file=where, detail=detail))
        if split.empty:
            findings.add("empty_split", Place(file="", detail=split.empty))
    return findings


def _how_it_ended(completed: Completed) -> str:
    """Say how a process ended that left no answer: the user's code may end it, or crash it."""
    code = completed.exit_code
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = completed.errors.strip().splitlines()[-1:]
    return ": ".join([f"the process that read its items {how}", *last])
