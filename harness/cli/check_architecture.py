"""`harness check-architecture`: whether a detector does what it must, before a night is spent on it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.cli.errors import FAILED, exit_codes
from harness.cli.options import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.store.checks import CheckResult

_COLOURS = {"passed": "green", "failed": "red"}
_SECONDS = {"s": 1.0, "min": 60.0}


def _image_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    numbers = value.split("/")
    if len(numbers) > 2 or not all(number.isdigit() and int(number) for number in numbers):  # noqa: PLR2004 - min, max
        raise click.BadParameter("expected a number of pixels, 640, or the shorter side and a maximum, 800/1333")
    return int(numbers[0]), int(numbers[-1])


def _model(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    options = {}
    for text in values:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


@click.command("check-architecture")
@click.argument("architecture", metavar="NAME|module:NAME|file.py:NAME")
@click.option("--classes", type=click.IntRange(min=1), default=3, show_default=True, help="The number of classes.")
@click.option(
    "--image-size",
    callback=_image_size,
    metavar="N|MIN/MAX",
    help="In pixels; left out: 128, or the native size where no other goes.",
)
@click.option("--weights", default="none", show_default=True, metavar="none|default|backbone|FILE")
@click.option("--model", callback=_model, multiple=True, metavar="NAME=VALUE", help="An option; may be repeated.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda|cuda:N", help="What to check it on.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Check torch.compile too, which takes a minute.")
@click.option(
    "--timeout",
    callback=quantity(_SECONDS, "300s"),
    default="300s",
    show_default=True,
    metavar="TIME",
    help="For each check; one that takes longer counts as hung.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def check_architecture(  # noqa: PLR0913 - a command's options
    architecture: str,
    *,
    classes: int,
    image_size: tuple[int, int] | None,
    weights: str,
    model: dict[str, Any],
    device: str,
    precision: str,
    compiled: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Check that an architecture can be trained, evaluated, kept and exported; of the catalogue or your own.

    It is built and trained a few steps on noise, in a process of its own. Exits with 1 if a check fails; "not
    supported" is an answer, not a failure.
    """
    from harness import api

    with exit_codes():
        results = api.check_architecture(
            architecture,
            classes=classes,
            image_size=image_size,
            weights=weights,
            model=model,
            device=device,
            precision=precision,
            compiled=compiled,
            timeout_s=timeout,
            on_result=_ignore if as_json else _progress(),
        )
    failed = sum(result.outcome == "failed" for result in results)
    if as_json:
        content = {"architecture": architecture, "failed": failed, "checks": [asdict(result) for result in results]}
        click.echo(json.dumps(content, indent=2))
    else:
        _print(results)
        click.echo(f"{failed} of {len(results)} checks failed" if failed else "all checks passed")
    sys.exit(FAILED if failed else 0)


def _ignore(_result: CheckResult) -> None:
    pass


def _progress() -> Callable[[CheckResult], None]:
    """Say on the error stream which check runs, if a person looks at it."""
    if not sys.stderr.isatty():
        return _ignore

    def show(result: CheckResult) -> None:
        if result.outcome == "running":
            click.echo(f"  {result.name} ...", err=True)

    return show


def _print(results: Sequence[CheckResult]) -> None:
    """A table with a row for each check."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from harness.observers.console import SafeConsole

    table = Table("check", "result", "s", "what", box=box.ASCII2)
    for result in results:
        outcome = Text(result.outcome, style=_COLOURS.get(result.outcome, ""))
        table.add_row(Text(result.name), outcome, Text(f"{result.wall_s:.1f}"), Text(result.detail))
    SafeConsole().print(table)
