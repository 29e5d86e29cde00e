"""The commands: parse, call the flow, turn an error into an exit code; nothing else."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import __version__
from harness.cli import deadline, signals
from harness.cli.compare import compare
from harness.cli.data import data
from harness.cli.errors import FAILED, exit_codes, progress_bar
from harness.cli.measure import doctor, measure
from harness.cli.options import DEVICE, RESULTS
from harness.cli.recommend import recommend
from harness.cli.report import export_options, export_places
from harness.cli.status import show, status
from harness.store.results import suite_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.api import Summary
    from harness.scheduling.observer import RunObserver
    from harness.scheduling.plan import Plan


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Which object detector should I fine-tune and ship, on my data, on my machine?

    Exit codes: 0 no trial failed, 1 some did, 2 bad suite or usage, 3 stopped by the machine, 4 another run holds the
    results, 130 or 143 interrupted.
    """


main.add_command(data)
main.add_command(status)
main.add_command(show)
main.add_command(measure)
main.add_command(doctor)
main.add_command(recommend)
main.add_command(compare)


_SUITE = click.argument("suite", type=click.Path(path_type=Path))
_SELECT = click.option("--select", metavar="GLOB", help="Only trials whose id matches, e.g. '*retinanet*-s0-*'.")
_LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the first N images of each split: a rehearsal, marked as not comparable.",
)


def _planning(command: Callable[..., None]) -> Callable[..., None]:
    for option in (_LIMIT, DEVICE, _SELECT, RESULTS, _SUITE):
        command = option(command)
    return command


@main.command()
@_planning
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@click.option(
    "--no-preflight",
    "--no-rehearsal",
    "no_rehearsal",
    is_flag=True,
    help="Start at once, without a step of each configuration first.",
)
@click.option("--retry-failed", is_flag=True, help="Also trials that failed for a reason of their own.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--until", callback=deadline.until, metavar="07:00", help="Start no trial that would not be done by then."
)
@click.option("--budget", callback=deadline.budget, metavar="8h", help="Likewise, counted from now.")
@click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Where attempts run: local, inline (in this process, for a debugger) or module:Class.",
)
def run(  # noqa: PLR0913 - a command's options
    suite: Path,
    results: Path,
    select: str | None,
    device: str,
    limit: int | None,
    *,
    dry_run: bool,
    no_rehearsal: bool,
    retry_failed: bool,
    fail_fast: bool,
    until: datetime | None,
    budget: timedelta | None,
    executor: str,
) -> None:
    """Fine-tune, evaluate and measure every trial of SUITE that has no record yet, and write the report."""
    from harness import api

    ends = [moment for moment in (until, budget and datetime.now().astimezone() + budget) if moment]
    with exit_codes():
        plan = _make_plan(suite, results=results, select=select, limit=limit, device=device)
        if dry_run:
            _print_plan(plan, device)
            return
        _print_other_devices(plan, device)
        signals.listen_for_signals()
        summary = api.run(
            plan,
            device=device,
            observers=(_view(),),
            executor=executor,
            rehearse=not no_rehearsal,
            retry_failed=retry_failed,
            fail_fast=fail_fast,
            until=min(ends, default=None),
        )
        for line in _said(summary, plan):
            click.echo(line)
        sys.exit(FAILED if summary.failed else 0)


@main.command()
@_planning
def plan(suite: Path, results: Path, select: str | None, device: str, limit: int | None) -> None:
    """Show the trials of SUITE: what is done, what is left, and how long it will take."""
    with exit_codes():
        _print_plan(_make_plan(suite, results=results, select=select, limit=limit, device=device), device)


@main.command()
@_planning
def validate(suite: Path, results: Path, select: str | None, device: str, limit: int | None) -> None:
    """Check SUITE and the data it names; every problem at once."""
    with exit_codes():
        checked = _make_plan(suite, results=results, select=select, limit=limit, device=device)
        click.echo(f"{suite}: sound, {len(checked.selected)} trials")
        _print_other_devices(checked, device)
        _print_missing_weights(checked)


@main.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
@click.option("--baseline", metavar="NAME", help="Row that others are compared with; default: the most accurate one.")
@click.option("--no-bootstrap", is_flag=True, help="Leave out what is computed from stored detections: seconds sooner.")
@export_options
def report(results_dir: Path, baseline: str | None, *, no_bootstrap: bool, **wanted: str | None) -> None:
    """Write the report of RESULTS_DIR (results/<suite>) again from its records.

    An export without FILE goes beside it, as report.csv and so on; one to - goes to the standard output.
    """
    from harness import api

    with exit_codes():
        folder = suite_folder(results_dir)
        places = export_places(folder.path, wanted)
        with progress_bar("examining stored detections") as progress:
            path = api.write_report(
                folder, bootstrap=not no_bootstrap, baseline=baseline, exports=places, progress=progress
            )
        aside = "-" in wanted.values()
        click.echo(f"Report: {path} and {folder.page.name}", err=aside)
        for place in places.values():
            if isinstance(place, Path):
                click.echo(f"Export: {place}", err=aside)


@main.command("list")
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


@main.command()
@_SUITE
def fetch(suite: Path) -> None:
    """Download every pretrained file that SUITE needs, so that the night needs no internet."""
    from harness import api
    from harness.suite.load import load_suite

    with exit_codes():
        loaded = load_suite(suite)
        if not api.wanted_weights(loaded):
            click.echo(f"{suite}: needs no pretrained weights")
        sys.exit(FAILED if api.fetch(loaded) else 0)


@main.command()
def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    import json

    from harness.suite.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def _view() -> RunObserver:
    from harness.observers.console import TolerantConsole
    from harness.observers.live import LiveView
    from harness.observers.plain import PlainView

    console = TolerantConsole()
    return LiveView(console) if console.is_terminal and not os.environ.get("CI") else PlainView(console)


def _make_plan(suite: Path, *, results: Path, select: str | None, limit: int | None, device: str) -> Plan:
    """Plan, with a bar while many images are looked at, and a line on what is odd about them."""
    from harness import api

    with progress_bar("looking at images") as progress:
        plan = api.make_plan(
            suite, results_folder=results, select=select, max_images=limit, device=device, progress=progress
        )
    for remark in plan.remarks:
        click.echo(remark)
    return plan


def _print_plan(plan: Plan, device: str) -> None:
    from harness.formatting import rough_duration
    from harness.observers.wording import forecast

    expected = plan.expected()
    for trial in plan.selected:
        record, over = plan.records.get(trial.trial_id), plan.failed.get(trial.trial_id)
        state = f"done ({record.environment.device})" if record else over.outcome.replace("_", " ") if over else "left"
        takes = "" if record or over or trial.trial_id not in expected else rough_duration(expected[trial.trial_id])
        click.echo(f"{state:<14} {takes:>12} {trial.trial_id}")
    counts = [f"{len(plan.selected) - len(plan.pending) - len(plan.given_up)} done"]
    counts += [f"{len(plan.given_up)} failed"] if plan.given_up else []
    click.echo(
        f"{len(plan.selected)} trials: {', '.join(counts)}, {len(plan.pending)} left; results in {plan.folder.path}"
    )
    if plan.pending and expected:
        click.echo(forecast(plan.pending, expected))
    _print_other_devices(plan, device)
    _print_missing_weights(plan)


def _said(summary: Summary, plan: Plan) -> list[str]:
    """How a run ended, in lines."""
    before = sum(trial.trial_id in plan.records for trial in plan.selected)
    said = [f"{summary.succeeded} of {len(plan.selected)} trials measured"]
    said += [f"{before} of them before"] if before else []
    said += [f"{summary.failed} failed: the report says why"] if summary.failed else []
    said += [f"{summary.left} not tried after the failure (--fail-fast)"] if summary.left else []
    lines = [f"{', '.join(said)}."]
    if summary.given_up:
        lines.append(f"{summary.given_up} failed before and were not repeated; --retry-failed tries them again")
    if summary.skipped_for_time:
        lines.append("not started, because they would not have been done in time:")
        lines += [f"  {trial_id}" for trial_id in summary.skipped_for_time]
    return [*lines, f"Report: {summary.report}"]


def _print_other_devices(plan: Plan, device: str) -> None:
    """Say which recorded trials a wish for another device does not measure again."""
    wanted = device.partition(":")[0]
    devices = {record.environment.device for record in plan.records.values()}
    others = sorted({done for done in devices if wanted != "auto" and done.partition(":")[0] != wanted})
    if others:
        click.echo(
            f"trials measured on {', '.join(others)} are kept and not measured on {device}; "
            "for that give another folder with --results"
        )


def _print_missing_weights(plan: Plan) -> None:
    """Say today which files the night would have to download."""
    from harness import api

    missing = [file.path for file in api.wanted_weights(plan.suite) if not file.path.is_file()]
    if missing:
        names = ", ".join(path.name for path in missing)
        click.echo(f"not in {missing[0].parent} yet: {names}; `harness fetch {plan.suite.path}` gets them now")
