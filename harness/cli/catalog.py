"""`harness list` and `harness schema`: what a suite file can name, for people and for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("list")
@click.argument("what", type=click.Choice(["architectures"]))
def list_(what: str) -> None:  # noqa: ARG001 - one choice so far
    """List what a suite can name: architectures."""
    from rich.console import Console
    from rich.table import Table

    from harness.suite.catalog import registry

    table = Table("architecture", "stages", "backbone", "COCO mAP", "lr for a batch of", "options under `model`")
    for name in registry.names():
        try:
            row, _ = registry.find(name, Path.cwd())
        except (ImportError, TypeError) as error:  # an installed package's
            click.echo(f"{name}: {error}", err=True)
            continue
        table.add_row(
            row.name,
            str(row.stages),
            row.backbone,
            "" if row.published_map is None else f"{row.published_map:.3f}",
            f"{row.recipe.lr} / {row.recipe.batch_size}",
            ", ".join(option.name for option in row.options),
        )
    Console().print(table)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    from harness.suite.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
