"""`harness compare`: one results folder against another, in the terminal, as data, or as a check that can fail."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from harness.cli.errors import FAILED, exit_codes, progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

_COLOURS = {"more accurate": "green", "less accurate": "red"}


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print the same as data, in SI units.")
@click.option(
    "--fail-on",
    "gates",
    multiple=True,
    metavar="METRIC:±LIMIT",
    help="Exit with 1 where B moved further than that: map:-0.01, latency:+10%, p95:+5ms, memory:+500MB or "
    "throughput:-10images/s. Repeat it, or separate limits by commas.",
)
def compare(a: str, b: str, *, as_json: bool, gates: tuple[str, ...]) -> None:
    """Say of each detector whether B is more or less accurate than A, or not separated from it, and how speeds moved.

    A is the reference, B the candidate: a suite's results (results/<suite>), or DIR@COMMIT, as git has them there.
    """
    from harness import api
    from harness.observers.console import SafeConsole
    from harness.report.compare import data, render

    with exit_codes():
        with progress_bar("examining detections") as progress:
            comparison = api.compare(a, b, gates=gates, progress=progress)
        if as_json:
            click.echo(json.dumps(data((a, b), comparison.rows, comparison.gates), indent=2, allow_nan=False))
        else:
            console = SafeConsole()
            for block in render((a, b), comparison.rows, comparison.gates, table=_table):
                if isinstance(block, str):
                    console.say(block)
                else:
                    console.print(block)
    sys.exit(0 if comparison.passed else FAILED)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str | Table:
    """Return a table: as markdown, or for a terminal with colours; one that is too wide for it row by row, as lines."""
    from harness.report.markup import table

    if not sys.stdout.isatty():
        return table(header, rows)
    from rich.table import Table
    from rich.text import Text

    columns, width = zip(header, *rows, strict=True), shutil.get_terminal_size().columns
    if sum(max(map(len, column)) + 3 for column in columns) >= width:  # with the lines between them
        return "\n".join(_in_lines(header, row, width) for row in rows)
    shown = Table()
    for number, name in enumerate(header):
        shown.add_column(name, justify="right" if number else "left")
    for row in rows:
        shown.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    return shown


def _in_lines(header: Sequence[str], row: Sequence[str], width: int) -> str:
    """Return the cells of a row with their headers: the first one alone, which names it, the others below."""
    cells = "; ".join(f"{name} {cell}" for name, cell in zip(header[1:], row[1:], strict=True))
    indent = " " * 4
    return f"{row[0]}\n{textwrap.fill(cells, width, initial_indent=indent, subsequent_indent=indent)}"
