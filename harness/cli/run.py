"""`harness run`, `plan`, `validate` and `fetch`: the commands that take a suite file."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import deadline, signals
from harness.cli.errors import FAILED, exit_codes, progress_bar
from harness.cli.options import (
    CPU_SLOTS,
    DEVICE,
    DEVICES,
    EXECUTOR,
    RAY_ADDRESS,
    RAY_WORKING_DIR,
    RESULTS,
    TRIALS_PER_DEVICE,
)
from harness.cli.planned import plan_data, plan_lines, warning_lines
from harness.cli.race import race_lines
from harness.cli.view import run_view
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness import Plan, RunSummary
    from harness.executors.base import Executor

_SUITE = click.argument("suite", type=click.Path(path_type=Path))
_SELECT = click.option("--select", metavar="GLOB", help="Only trials whose id matches, e.g. '*retinanet*-s0-*'.")
_COUNT = click.IntRange(min=1)
_MAX_IMAGES = click.option(
    "--max-images",
    type=_COUNT,
    metavar="N",
    help="Only the first N images of each split. Such subset trials are marked as not comparable.",
)
_OLD_MAX_IMAGES = click.option("--limit", type=_COUNT, hidden=True)  # its old name


def _planning(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options of every command that makes a plan."""
    for option in (
        _OLD_MAX_IMAGES, _MAX_IMAGES, RAY_WORKING_DIR, RAY_ADDRESS, EXECUTOR, CPU_SLOTS, TRIALS_PER_DEVICE, DEVICES,
        DEVICE, _SELECT, RESULTS, _SUITE,
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@_planning
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--no-preflight", is_flag=True, help="Start at once, without trying a step of each configuration first.")
@click.option("--no-rehearsal", is_flag=True, hidden=True)  # its old name
@click.option("--retry-failed", is_flag=True, help="Also run trials that failed for a reason of their own.")
@click.option("--no-race", is_flag=True, help="Do not time the rows against each other once the trials are done.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--until", callback=deadline.until, metavar="07:00", help="Start no trial that would not be done by then."
)
@click.option("--budget", callback=deadline.budget, metavar="8h", help="The same, counted from now.")
def run(
    *,
    dry_run: bool,
    no_preflight: bool,
    no_rehearsal: bool,
    no_race: bool,
    retry_failed: bool,
    fail_fast: bool,
    until: datetime | None,
    budget: timedelta | None,
    **planning: Any,
) -> None:
    """Fine-tune, evaluate and measure every trial of SUITE that has no record yet, and write the report."""
    from harness import api

    ends = [moment for moment in (until, budget and datetime.now().astimezone() + budget) if moment]
    with exit_codes():
        plan, executor = _make_plan(**planning)
        end = min(ends, default=None)
        if dry_run:
            _echo(plan_lines(replace(plan, failed={}) if retry_failed else plan, until=end, race=not no_race))
            return
        _echo(warning_lines(plan, weights=False))
        signals.listen_for_signals()
        summary = api.run(
            plan,
            preflight=not (no_preflight or no_rehearsal),
            retry_failed=retry_failed,
            fail_fast=fail_fast,
            race=not no_race,
            until=end,
            observers=(run_view(),),
            executor=executor,
        )
        _echo(_summary(summary, plan))
        sys.exit(FAILED if summary.failed else 0)


@click.command()
@_planning
@click.option("--json", "as_json", is_flag=True, help="Print the same as data, with everything that makes a trial.")
def plan(*, as_json: bool, **planning: Any) -> None:
    """Show the trials of SUITE: what is done, what is left, how they differ, and how long it will take."""
    with exit_codes():
        planned, _ = _make_plan(**planning, quiet=as_json)
        if as_json:
            click.echo(json.dumps(plan_data(planned), indent=2, allow_nan=False))
        else:
            _echo(plan_lines(planned))


@click.command()
@_planning
def validate(**planning: Any) -> None:
    """Check SUITE and the data it names; every problem at once."""
    from harness import api
    from harness.formatting import counted

    with exit_codes():
        plan, _ = _make_plan(**planning)
        click.echo(f"{planning['suite']}: sound, {counted(len(plan.selected), 'trial')}")
        _echo(api.results_folder_remarks(plan))
        _echo(warning_lines(plan))


@click.command()
@_SUITE
def fetch(suite: Path) -> None:
    """Download every pretrained file that SUITE needs, so that the night needs no internet."""
    from harness import api

    with exit_codes():
        if not api.wanted_weights(suite):
            click.echo(f"{suite}: needs no pretrained weights")
        sys.exit(0 if api.fetch(suite) else FAILED)


def _make_plan(
    *,
    suite: Path,
    max_images: int | None,
    limit: int | None,
    executor: str,
    ray_address: str | None,
    ray_working_dir: str | None,
    quiet: bool = False,
    **planning: Any,
) -> tuple[Plan, Executor]:
    """Make the plan, with a bar while many images are checked, and print what is odd about them.

    Returns:
        The plan, and the executor that it was made for: a name that is wrong is told before anything starts.

    Args:
        limit: the value of `--limit`, the old name of `--max-images`.
        quiet: print nothing.
    """
    from harness import api
    from harness.executors.registry import load_executor

    if limit is not None and max_images is not None:
        raise UsageError("--limit is the old name of --max-images: give one of them")
    wanted = max_images if limit is None else limit
    where = load_executor(executor, address=ray_address, working_dir=ray_working_dir)
    with progress_bar("looking at images") as progress:
        plan = api.plan(suite, max_images=wanted, executor=where, progress=progress, **planning)
    _echo(() if quiet else plan.remarks)
    return plan, where


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _summary(summary: RunSummary, plan: Plan) -> Iterator[str]:
    """How a run ended, in lines."""
    before = sum(trial.trial_id in plan.records for trial in plan.selected)
    parts = [f"{summary.succeeded} of {len(plan.selected)} trials measured"]
    parts += [f"{before} of them before"] if before else []
    parts += [f"{summary.failed} failed: the report says why"] if summary.failed else []
    parts += [f"{summary.not_started} not tried after the failure (--fail-fast)"] if summary.not_started else []
    yield f"{', '.join(parts)}."
    if summary.given_up:
        yield f"{summary.given_up} failed before and were not repeated; --retry-failed tries them again"
    if summary.skipped_for_time:
        yield "not started, because they would not have been done in time:"
        yield from (f"  {trial_id}" for trial_id in summary.skipped_for_time)
    for race in summary.races:
        yield from race_lines(race)
    yield f"Report: {summary.report}"
