"""The options by which `harness report` also writes the comparison for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

_BESIDE = ""  # the option without a FILE
_STANDARD_OUTPUT = "-"
_OWNED = {"plan.json", "lock.json", "report.md", "report.html", "plots", "cache", "trials"}
_SUFFIXES = {"csv": "csv", "parquet": "parquet", "json": "json", "latex": "tex"}


def _export_file(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value and Path(value).is_dir():
        raise click.BadParameter(
            f"'{value}' is a folder, not a FILE; RESULTS_DIR comes before the options: harness report {value} …"
        )
    return value


def export_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--csv [FILE]` and its siblings."""
    for name in reversed(_SUFFIXES):
        option = click.option(
            f"--{name}",
            is_flag=False,
            flag_value=_BESIDE,
            metavar="[FILE]",
            callback=_export_file,
            help=f"Also the comparison as {name}.",
        )
        command = option(command)
    return command


def export_places(folder: Path, wanted: Mapping[str, str | None]) -> dict[str, Path | BinaryIO]:
    """Where each format that was asked for goes.

    Raises:
        UsageError: two of them go to one place, or one to a file of the results' own.
    """
    asked = {name: value for name, value in wanted.items() if value is not None}
    files = {name: Path(value) if value else folder / f"report.{_SUFFIXES[name]}" for name, value in asked.items()}
    own = folder.resolve()
    for name, place in files.items():
        inside = place.resolve().relative_to(own) if place.resolve().is_relative_to(own) else None
        if inside is not None and inside.parts[:1] and inside.parts[0] in _OWNED:
            raise UsageError(f"--{name} {place}: belongs to the results themselves; give another file")
        same = [f"--{other}" for other in files if files[other] == place]
        if len(same) > 1:
            raise UsageError(f"{' and '.join(same)}: all to {asked[name]}; give each its own file")
    return {name: sys.stdout.buffer if str(place) == _STANDARD_OUTPUT else place for name, place in files.items()}
