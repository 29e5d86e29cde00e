"""From a row of the catalogue to the family that builds it. Nothing else imports a family's module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import TrialError
from harness.suite import user_code
from harness.suite.catalog import registry
from harness.trial.models.base import Family

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.trial import TrialArchitecture


def row_of(architecture: TrialArchitecture, import_folder: Path) -> Architecture:
    """The row of a trial's architecture.

    Args:
        import_folder: the suite's folder, where the user's modules are looked for.

    Raises:
        TrialError: it cannot be imported, or is not what it was when the trial was planned.
    """
    if architecture.own is None:
        return registry.BUILT_IN[architecture.name]
    try:
        row = registry.load_row(architecture.own.path, import_folder, architecture.name)
        hashes = registry.code_hashes(architecture.own.path, row, import_folder)
    except (ImportError, TypeError) as error:
        raise TrialError(f"architecture {architecture.own.path}: {error}") from error
    if architecture.own.sha256 not in hashes:
        raise TrialError(
            f"architecture {architecture.own.path}: its files have changed since this trial was planned; run the suite "
            "again"
        )
    return row


def family_of(row: Architecture) -> Family:
    """The module that builds the row.

    Raises:
        TrialError: it cannot be imported, a package that it needs is not installed, or it lacks a function of a family.
    """
    missing = row.missing_package()
    if missing:
        raise TrialError(missing)
    try:
        family = user_code.load_module(row.family)
    except ImportError as error:
        raise TrialError(f"family {row.family} of {row.name}: {error}") from error
    if not isinstance(family, Family):
        wanted = [name for name in ("build", "rebuild") if not hasattr(family, name)]
        raise TrialError(f"family {row.family} of {row.name}: it has no function {' and no '.join(wanted)}")
    return family
