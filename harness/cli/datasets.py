"""The datasets that a command of `harness data` is about, read, with a word on what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.errors import progress_bar
from harness.cli.target import read_target
from harness.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.loaded import LoadedDataset
    from harness.data.scan import Depth
    from harness.suite.schema import FilesDataset, SyntheticDataset


def datasets_of(target: Path, wanted: str, images: Path | None) -> dict[str, FilesDataset | SyntheticDataset]:
    """Return the datasets of a suite or a path, without those that need torch to be opened, which are told."""
    from harness.suite.schema import PythonDataset

    found: dict[str, FilesDataset | SyntheticDataset] = {}
    for name, dataset in read_target(target, wanted, images).datasets.items():
        if isinstance(dataset, PythonDataset):
            click.echo(
                f"{name}: a python dataset is your own code, which only `harness data check` and its trials read",
                err=True,
            )
        else:
            found[name] = dataset
    return found


def load_files(name: str, dataset: FilesDataset, depth: Depth) -> LoadedDataset:
    """Read a dataset; tell its format, if it was recognised, and how many entries are left out.

    Raises:
        DataError: nothing can be read.
    """
    from harness.data.load import load
    from harness.executors.environment import available_cores

    with progress_bar("looking at images") as progress:
        loaded = load(dataset, depth=depth, workers=available_cores(), progress=progress)
    if dataset.format == "auto":
        click.echo(f"{name}: found {loaded.format}", err=True)
    if not loaded.splits:
        raise DataError("\n".join(map(str, loaded.findings.problems("error"))))
    bad = sum(problem.count for problem in loaded.findings.problems("error"))
    if bad:
        click.echo(f"{name}: {bad} entries are bad and left out; `harness data check` lists them", err=True)
    return loaded
