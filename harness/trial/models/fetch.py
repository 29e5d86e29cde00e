"""python -m harness.trial.models.fetch NAME=WORD[=BACKBONE] …: download now the weights that a night will start from.

NAME is an architecture of the catalogue or an import path, WORD what a suite gives as its `weights`, default, backbone
or none, and BACKBONE the one that it names.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from harness import printing
from harness.errors import HarnessError, WeightsError
from harness.suite.catalog import registry
from harness.trial.models import published
from harness.trial.models.base import BackboneFetchingFamily, FetchingFamily, NamingFamily
from harness.trial.models.registry import family_of

_ARGUMENT = re.compile(r"(.*)=(default|backbone|none)(?:=(.*))?")


def fetch(name: str, word: str, backbone: str | None = None) -> Path:
    """The file of published weights, downloaded unless it is there already.

    Raises:
        TrialError: it cannot be had.
    """
    try:
        row, _ = registry.find(name, Path.cwd())
    except (ImportError, LookupError, TypeError) as error:
        raise WeightsError(f"{name}: {error}") from error
    family = family_of(row)
    needed = row.needed_file(word, backbone)
    if needed is None:
        known = f"; it takes {', '.join(row.published_files)}" if row.published_files else ""
        raise WeightsError(f"{name}: there are no published weights {word}{known}")
    if isinstance(family, BackboneFetchingFamily):
        return family.fetch_backbone(row, word, backbone)
    if isinstance(family, FetchingFamily):
        return family.fetch(row, word)
    named = family.published_file(row, word, backbone) if isinstance(family, NamingFamily) else None
    file = named or needed
    if isinstance(file, str):
        raise WeightsError(f"{name}: its family {row.family} has no function fetch")
    return published.fetch(file, row.name)


def main(arguments: list[str]) -> int:
    """Fetch each NAME=WORD[=BACKBONE]; returns 1 if any cannot be had."""
    failed = 0
    for argument in arguments:
        found = _ARGUMENT.fullmatch(argument)
        name, word, backbone = found.groups() if found else (argument, "", None)
        try:
            print(f"{argument}: {fetch(name, word, backbone)}")
        except HarnessError as error:
            failed = 1
            print(f"{argument}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    printing.protect()
    sys.exit(main(sys.argv[1:]))
