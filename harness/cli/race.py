"""`harness race`: time the rows of a results folder against each other, and say which differences are real."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import signals
from harness.cli.errors import FAILED, exit_codes
from harness.cli.options import DEVICE, EXECUTOR
from harness.cli.view import run_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import RaceSummary, SpeedVerdict


@click.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
@click.option(
    "--blocks", type=click.IntRange(2, 100), metavar="N", help="2 to 100; default: quick 3, standard 5, publish 9."
)
@click.option(
    "--row", "rows", multiple=True, metavar="NAME", help="Only rows of this label or architecture; repeatable."
)
@click.option("--all", "all_rows", is_flag=True, help="Every row, not only those for which it can matter.")
@click.option("--copies", type=click.IntRange(min=1), default=1, hidden=True)  # how often equal rows seem to differ
@DEVICE
@EXECUTOR
def race(
    results_dir: Path,
    *,
    blocks: int | None,
    rows: tuple[str, ...],
    all_rows: bool,
    copies: int,
    device: str,
    executor: str,
) -> None:
    """Time the rows of RESULTS_DIR (results/<suite>) against each other, and write the report again.

    A block runs each row once, in a process of its own, in random order. A race that was interrupted goes on. Without
    --row and --all those race that are on the Pareto front or tie with it in accuracy, at most 12.
    """
    from harness import api

    with exit_codes():
        signals.listen_for_signals()
        summaries = api.race(
            results_dir,
            blocks=blocks,
            rows=rows or None,
            all_rows=all_rows,
            device=device,
            executor=executor,
            observers=(run_view(),),
            copies=copies,
        )
        for summary in summaries:
            for line in race_lines(summary):
                click.echo(line)
        sys.exit(FAILED if any(summary.failed for summary in summaries) else 0)


def race_lines(summary: RaceSummary) -> Iterator[str]:
    """What became of a race, in lines."""
    for remark in summary.remarks:
        yield f"{summary.dataset}: {remark}"
    if summary.state is None:
        return
    race = summary.state.race
    if summary.times is None:
        yield f"{summary.dataset}: too few blocks for a comparison of speed; see {summary.state.folder.path}"
        return
    if race.copies > 1:
        different, pairs = summary.copies_called_different()
        yield (
            f"{summary.dataset}: {different} of {pairs} pairs of equal entrants are called different "
            "(p < 0.05 each, uncorrected)"
        )
        return
    blocks = f"{summary.times.blocks} blocks"
    yield f"{summary.dataset}: speed against {race.entrants[0].label}, over {blocks} (95 % intervals and p by Holm):"
    for label, verdict in summary.verdicts().items():
        yield f"  {label}: {_verdict(verdict)}"


def _verdict(verdict: SpeedVerdict) -> str:
    times = verdict.interval.inverse()
    text = f"{times.value:.2f}× [{times.low:.2f}–{times.high:.2f}] as fast"
    return f"{text}: {verdict.word}, p = {verdict.adjusted_p:.2g}"
