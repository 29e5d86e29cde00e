"""The commands: parse, call the flow, turn an error into an exit code; nothing else."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness import __version__
from harness.cli.data import data
from harness.cli.exits import FAILED, exit_codes, progress_bar
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.flow import Plan, Watcher


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Which object detector should I fine-tune and ship, on my data, on my machine?

    Exit codes: 0 all trials succeeded, 1 some failed, 2 bad suite or usage, 3 stopped by the machine, 130 interrupted.
    """


main.add_command(data)


def _device(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    name, _, number = value.partition(":")
    if value in {"auto", "cpu", "cuda"} or (name == "cuda" and number.isdigit()):
        return value
    raise click.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:N")


_SUITE = click.argument("suite", type=click.Path(path_type=Path))
_RESULTS = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default="results",
    show_default=True,
    help="Folder that holds results/<suite>/.",
)
_SELECT = click.option("--select", metavar="GLOB", help="Only trials whose id matches, e.g. '*retinanet*-s0-*'.")
_LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the first N images of each split: a rehearsal, marked as not comparable.",
)


_DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    callback=_device,
    metavar="auto|cpu|cuda|cuda:N",
    help="Where trials run.",
)


def _planning(command: Callable[..., None]) -> Callable[..., None]:
    for option in (_LIMIT, _DEVICE, _SELECT, _RESULTS, _SUITE):
        command = option(command)
    return command


@main.command()
@_planning
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
def run(suite: Path, results: Path, select: str | None, device: str, limit: int | None, *, dry_run: bool) -> None:
    """Fine-tune, evaluate and measure every trial of SUITE that has no record yet, and write the report."""
    from harness import flow

    with exit_codes():
        plan = _make_plan(suite, results=results, select=select, limit=limit)
        if dry_run:
            _print_plan(plan, device)
            return
        _print_other_devices(plan, device)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish stays
                signal.signal(number, _interrupt)
        summary = flow.run(plan, device=device, watcher=_view())
        skipped = len(plan.selected) - len(plan.left)
        said = [f"{summary.succeeded} of {len(plan.selected)} trials measured"]
        said += [f"{skipped} of them before"] if skipped else []
        said += [f"{summary.failed} failed: the report says why"] if summary.failed else []
        click.echo(f"{', '.join(said)}.\nReport: {summary.report}")
        sys.exit(FAILED if summary.failed else 0)


@main.command()
@_planning
def plan(suite: Path, results: Path, select: str | None, device: str, limit: int | None) -> None:
    """Show the trials of SUITE: what is done, what is left."""
    with exit_codes():
        _print_plan(_make_plan(suite, results=results, select=select, limit=limit), device)


@main.command()
@_planning
def validate(suite: Path, results: Path, select: str | None, device: str, limit: int | None) -> None:
    """Check SUITE and the data it names; every problem at once."""
    with exit_codes():
        checked = _make_plan(suite, results=results, select=select, limit=limit)
        click.echo(f"{suite}: sound, {len(checked.selected)} trials")
        _print_other_devices(checked, device)
        _print_missing_weights(checked)


@main.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
def report(results_dir: Path) -> None:
    """Write the report of RESULTS_DIR (results/<suite>) again from its records."""
    from harness import flow
    from harness.store.files import SuiteFolder

    with exit_codes():
        folder = SuiteFolder(results_dir)
        if not folder.trials() and not folder.plan.is_file():
            inside = (
                sorted(entry.name for entry in results_dir.iterdir() if (entry / "trials").is_dir())
                if results_dir.is_dir()
                else []
            )
            hint = f"; it holds the suites {', '.join(inside)}: give one of them" if inside else ""
            raise UsageError(f"{results_dir}: no results of a suite (no trials/ in it){hint}")
        click.echo(f"Report: {flow.write_report(folder)}")


@main.command("list")
@click.argument("what", type=click.Choice(["architectures"]))
def list_(what: str) -> None:  # noqa: ARG001 - one choice so far
    """List what a suite can name: architectures."""
    from rich.console import Console
    from rich.table import Table

    from harness.suite.catalog import ARCHITECTURES

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


@main.command()
@_SUITE
def fetch(suite: Path) -> None:
    """Download every pretrained file that SUITE needs, so that the night needs no internet."""
    from harness import flow
    from harness.suite.load import load_suite

    with exit_codes():
        loaded = load_suite(suite)
        if not flow.wanted_weights(loaded):
            click.echo(f"{suite}: needs no pretrained weights")
        sys.exit(FAILED if flow.fetch(loaded) else 0)


@main.command()
def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    import json

    from harness.suite.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _view() -> Watcher:
    from harness.progress import LiveView, PlainView, TolerantConsole

    console = TolerantConsole()
    return LiveView(console) if console.is_terminal and not os.environ.get("CI") else PlainView(console)


def _make_plan(suite: Path, *, results: Path, select: str | None, limit: int | None) -> Plan:
    """Plan, with a bar while many images are looked at, and a line on what is odd about them."""
    from harness import flow

    with progress_bar("looking at images") as progress:
        plan = flow.make_plan(suite, results_folder=results, select=select, limit=limit, progress=progress)
    for remark in plan.remarks:
        click.echo(remark)
    return plan


def _print_plan(plan: Plan, device: str) -> None:
    for trial in plan.selected:
        done_on = plan.done.get(trial.trial_id)
        click.echo(f"{f'done ({done_on})' if done_on else 'left':<12} {trial.trial_id}")
    click.echo(
        f"{len(plan.selected)} trials: {len(plan.selected) - len(plan.left)} done, {len(plan.left)} left; "
        f"results in {plan.folder.path}"
    )
    _print_other_devices(plan, device)
    _print_missing_weights(plan)


def _print_other_devices(plan: Plan, device: str) -> None:
    """Say which recorded trials a wish for another device does not measure again."""
    wanted = device.partition(":")[0]
    others = sorted({done for done in plan.done.values() if wanted != "auto" and done.partition(":")[0] != wanted})
    if others:
        click.echo(
            f"trials measured on {', '.join(others)} are kept and not measured on {device}; "
            "for that give another folder with --results"
        )


def _print_missing_weights(plan: Plan) -> None:
    """Say today which files the night would have to download."""
    from harness import flow

    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    cache = Path(home).expanduser() / "hub" / "checkpoints"  # as torch.hub has it
    missing = [file for _, _, file in flow.wanted_weights(plan.suite) if not (cache / file).is_file()]
    if missing:
        click.echo(f"not in {cache} yet: {', '.join(missing)}; `harness fetch {plan.suite.path}` gets them now")
