"""A process of its own reads the user's items; whatever their code does to it is a problem with a name."""

from __future__ import annotations

from pathlib import Path

from harness.api.items import check_items
from harness.suite.schema import ImageSize, PythonDataset, PythonSplit


def test_code_that_ends_its_process_is_told(tmp_path: Path) -> None:
    """The command goes on: it is one error, with the exit code and the last line."""
    (tmp_path / "own.py").write_text("import os, sys\nprint('bye', file=sys.stderr, flush=True)\nos._exit(3)\n")
    split = PythonSplit(dataset="own.py:Own")
    dataset = PythonDataset(format="python", classes=("bolt",), train=split, val=split)
    checked = check_items(dataset, folder=tmp_path, image_sizes=(ImageSize(),))
    (problem,) = checked.problems
    assert (problem.code, problem.severity) == ("bad_item", "error")
    assert "the process that read its items ended with exit code 3: bye" in str(problem)
    assert checked.read is None
