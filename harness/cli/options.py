"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click


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
