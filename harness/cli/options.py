"""Options that several commands have, and quantities with a unit."""

from __future__ import annotations

import re
from pathlib import Path

import click

SECONDS = {"ms": 1e-3, "s": 1.0}
BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def quantity(value: str, units: dict[str, float], example: str) -> float:
    """A number with one of the units, in what they count in.

    Raises:
        click.BadParameter: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z/]+)\s*", value)
    unit = next((unit for unit in units if found and unit.lower() == found[2].lower()), None)
    if found is None or unit is None:
        raise click.BadParameter(f"{value!r} is no quantity such as {example} (known: {', '.join(units)})")
    return float(found[1]) * units[unit]


def _device(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    name, _, number = value.partition(":")
    if value in {"auto", "cpu", "cuda"} or (name == "cuda" and number.isdigit()):
        return value
    raise click.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:N")


RESULTS = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default="results",
    show_default=True,
    help="Folder that holds results/<suite>/.",
)
DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    callback=_device,
    metavar="auto|cpu|cuda|cuda:N",
    help="Where it runs.",
)
