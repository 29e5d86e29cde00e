"""python -m harness.trial.models.fetch NAME=WORD …: download now the published weights that a night will start from.

NAME is an architecture of the catalogue and WORD what a suite gives as its `weights`: default or backbone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness import printing
from harness.errors import HarnessError, WeightsError
from harness.suite.catalog import registry
from harness.trial.models.base import FetchingFamily
from harness.trial.models.registry import family_of


def fetch(name: str, word: str) -> Path:
    """The file of published weights, downloaded unless it is there already.

    Raises:
        WeightsError: it cannot be had.
    """
    try:
        row, _ = registry.find(name, Path.cwd())
    except (ImportError, LookupError, TypeError) as error:
        raise WeightsError(f"{name}: {error}") from error
    family = family_of(row)
    if not isinstance(family, FetchingFamily):
        raise WeightsError(f"{name}: its family {row.family} has no function fetch")
    return family.fetch(row, word)


def main(arguments: list[str]) -> int:
    """Fetch each NAME=WORD; returns 1 if any cannot be had."""
    failed = 0
    for argument in arguments:
        name, _, word = argument.rpartition("=")
        try:
            print(f"{argument}: {fetch(name, word)}")
        except HarnessError as error:
            failed = 1
            print(f"{argument}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    printing.protect()
    sys.exit(main(sys.argv[1:]))
