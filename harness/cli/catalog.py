"""`harness list` and `harness schema`: what a suite file can name, for people and for editors."""

from __future__ import annotations

import json

import click


@click.command("list")
@click.argument("what", type=click.Choice(["architectures"]))
def list_(what: str) -> None:  # noqa: ARG001 - one choice so far
    """List what a suite can name: architectures."""
    from rich.console import Console
    from rich.table import Table

    from harness.suite.catalog.torchvision import ARCHITECTURES

    table = Table("architecture", "stages", "backbone", "COCO mAP", "lr for a batch of", "options under `model`")
    for row in ARCHITECTURES:
        table.add_row(
            row.name,
            str(row.stages),
            row.backbone,
            f"{row.published_map:.3f}",
            f"{row.recipe.lr} / {row.recipe.batch_size}",
            ", ".join(row.options),
        )
    Console().print(table)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    from harness.suite.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
