"""`harness report`: write the report of a results folder again, and its rows for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import printing
from harness.cli.errors import exit_codes, progress_bar
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

_BESIDE = ""  # the option without a FILE
_STANDARD_OUTPUT = "-"
_OWNED = {"plan.json", "lock.json", "report.md", "report.html", "plots", "cache", "trials", "races"}
_SUFFIXES = {"csv": "csv", "parquet": "parquet", "json": "json", "latex": "tex"}


def _export_file(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value and Path(value).is_dir():
        raise click.BadParameter(
            f"'{value}' is a folder, not a FILE; RESULTS_DIR comes before the options: harness report {value} …"
        )
    return value


def _export_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options `--csv [FILE]`, `--parquet [FILE]`, `--json [FILE]` and `--latex [FILE]`."""
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


@click.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
@click.option("--baseline", metavar="NAME", help="Row that others are compared with; default: the most accurate one.")
@click.option("--no-bootstrap", is_flag=True, help="Skip what needs the stored detections, such as intervals.")
@_export_options
def report(results_dir: Path, baseline: str | None, *, no_bootstrap: bool, **exports: str | None) -> None:
    """Write the report of RESULTS_DIR (results/<suite>) again from its records.

    An export without FILE goes beside it, as report.csv and so on; one to - goes to the standard output.
    """
    from harness import api

    with exit_codes():
        places = _export_places(results_dir, exports)
        with progress_bar("examining stored detections") as progress:
            path = api.report(
                results_dir, bootstrap=not no_bootstrap, baseline=baseline, exports=places, progress=progress
            )
        to_stdout = _STANDARD_OUTPUT in exports.values()
        click.echo(f"Report: {path} and report.html", err=to_stdout)
        for place in places.values():
            if isinstance(place, Path):
                click.echo(f"Export: {place}", err=to_stdout)


def _export_places(folder: Path, exports: Mapping[str, str | None]) -> dict[str, Path | BinaryIO]:
    """Where each format goes that was asked for.

    Args:
        folder: the suite's results folder.
        exports: for each format the FILE of its option; empty: the option had none; None: no such option.

    Raises:
        UsageError: two formats go to one place, or one to a file of the results' own.
    """
    given = {name: value for name, value in exports.items() if value is not None}
    files = {name: Path(value) if value else folder / f"report.{_SUFFIXES[name]}" for name, value in given.items()}
    own = folder.resolve()
    for name, place in files.items():
        inside = place.resolve().relative_to(own) if place.resolve().is_relative_to(own) else None
        if inside is not None and inside.parts[:1] and inside.parts[0] in _OWNED:
            raise UsageError(f"--{name} {place}: belongs to the results themselves; give another file")
        same = [f"--{other}" for other in files if files[other] == place]
        if len(same) > 1:
            raise UsageError(f"{' and '.join(same)}: all to {given[name]}; give each its own file")
    return {
        name: printing.binary_output() if str(place) == _STANDARD_OUTPUT else place for name, place in files.items()
    }
