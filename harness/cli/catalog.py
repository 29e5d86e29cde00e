"""`harness list` and `harness schema`: what a suite file can name, for people and for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.errors import exit_codes
from harness.errors import UsageError


@click.command("list")
@click.argument("what", type=click.Choice(["architectures"]))
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything as data, and of all where no NAME is given.")
def list_(what: str, name: str | None, *, as_json: bool) -> None:  # noqa: ARG001 - one choice so far
    """List what a suite can name: architectures, as a table by family; of NAME, everything.

    NAME is one of the catalogue, or an import path of your own.
    """
    from harness.cli.architectures import detail_lines, table_lines

    with exit_codes():
        rows = _rows() if name is None else [_row(name)]
    if as_json:
        click.echo(json.dumps(rows if name is None else rows[0], indent=2))
        return
    for line in table_lines(rows) if name is None else detail_lines(rows[0]):
        click.echo(line)


def _rows() -> list[dict[str, Any]]:
    """Every architecture that has a name; what an installed package gives and cannot be read is told."""
    from harness.suite.catalog import registry
    from harness.suite.catalog.describe import as_data

    rows = []
    for name in registry.names():
        try:
            row, _ = registry.find(name, Path.cwd())
        except (ImportError, TypeError) as error:
            click.echo(f"{name}: {error}", err=True)
            continue
        rows.append(as_data(row))
    return rows


def _row(name: str) -> dict[str, Any]:
    """One architecture.

    Raises:
        UsageError: there is none of this name, or it cannot be imported.
    """
    from harness.suite.catalog import registry
    from harness.suite.catalog.describe import as_data
    from harness.suite.validators import nearest

    try:
        row, _ = registry.find(name, Path.cwd())
    except LookupError:
        hint = nearest(name, registry.names())
        raise UsageError(f"{name}: no such architecture{hint or ';'} `harness list architectures` names all") from None
    except (ImportError, TypeError) as error:
        raise UsageError(f"{name}: {error}") from None
    return as_data(row)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    from harness.suite.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
