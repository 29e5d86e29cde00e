"""Options that several commands have, and quantities with a unit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.formatting import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def quantity(
    units: Mapping[str, float], example: str
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """The callback of an option whose value is a number with one of these units."""

    def read(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
        try:
            return None if value is None else parse_quantity(value, units, example)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return read


def gpus(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """The callback of an option whose value is a list of GPUs, as numbers or names."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    return tuple(f"cuda:{name}" if name.isdecimal() else name for name in names)


RESULTS = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default="results",
    show_default=True,
    help="Folder that holds results/<suite>/.",
)
EXECUTOR = click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Where trials run: local (processes here), ray (a cluster), inline (in this process, for a debugger) or "
    "module:Class.",
)
RAY_ADDRESS = click.option(
    "--ray-address", metavar="ADDRESS", help="Of the Ray cluster; default: one on this machine, for this run."
)
RAY_WORKING_DIR = click.option(
    "--ray-working-dir",
    type=click.Path(file_okay=False, exists=True),
    metavar="DIR",
    help="Bring this folder to each Ray node, where nodes do not see the same paths.",
)
DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda|cuda:N",
    help="What to train and measure on.",
)
DEVICES = click.option(
    "--devices",
    callback=gpus,
    metavar="0,2",
    help="Run trials on these GPUs at the same time, one on each; default: on every visible one.",
)
TRIALS_PER_DEVICE = click.option(
    "--trials-per-device", type=click.IntRange(min=1), default=1, metavar="N", help="Run N trials on each GPU at once."
)
CPU_SLOTS = click.option(
    "--cpu-slots", type=click.IntRange(min=1), default=1, metavar="N", help="Run N trials on the CPU at once."
)
