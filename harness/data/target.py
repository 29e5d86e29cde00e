"""What `harness data …` is given: a suite file with its datasets, or a path with labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.suite.load import load_suite
from harness.suite.spec import FilesDataset

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.spec import Dataset

_YAML = {".yaml", ".yml"}
_SUITE_KEYS = {"suite", "datasets", "architectures"}


def datasets_of(path: Path, wanted_format: str) -> dict[str, Dataset]:
    """The suite's datasets by name; of a path with labels one dataset, called after it.

    Raises:
        SuiteError: the suite file is wrong.
    """
    if path.suffix.lower() in _YAML and path.is_file() and _is_suite(path):
        return dict(load_suite(path).datasets)
    name = path.resolve().name
    return {name: FilesDataset(format=wanted_format, path=path)}  # type: ignore[arg-type]


def _is_suite(path: Path) -> bool:
    """A data.yaml of YOLO's has `names`, and none of a suite's keys."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        keys = {line.partition(":")[0].strip() for line in stream.readlines(1_000_000) if not line.startswith(" ")}
    return bool(keys & _SUITE_KEYS)
