"""`harness list` and `harness schema`: what a suite file can name, for people and for editors."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.suite.catalog.architecture import Architecture


@click.command("list")
@click.argument("what", type=click.Choice(["architectures"]))
def list_(what: str) -> None:  # noqa: ARG001 - one choice so far
    """List what a suite can name: architectures."""
    from harness.suite.catalog import registry

    for name in registry.names():
        try:
            row, _ = registry.find(name, Path.cwd())
        except (ImportError, TypeError) as error:  # an installed package's
            click.echo(f"{name}: {error}", err=True)
            continue
        for line in _lines(row):
            click.echo(line)


def _lines(row: Architecture) -> Iterator[str]:
    """What a suite's author wants to know of an architecture, no wider than the terminal."""
    from harness.formatting import counted

    accuracy = "" if row.published_map is None else f", COCO mAP {row.published_map:.3f}"
    yield row.name
    yield f"    {counted(row.stages, 'stage')}, backbone {row.backbone}{accuracy}"
    yield f"    lr {row.recipe.lr} for a batch of {row.recipe.batch_size}"
    if row.options:
        yield textwrap.fill(
            f"model: {', '.join(option.name for option in row.options)}",
            width=max(40, shutil.get_terminal_size().columns),
            initial_indent=" " * 4,
            subsequent_indent=" " * 11,
            break_long_words=False,
        )


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    from harness.suite.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
