"""`harness compare`: one results folder against another, in the terminal, as data, or as a check that can fail."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from typing import TYPE_CHECKING

import click

from harness.cli.errors import FAILED, exit_codes, progress_bar
from harness.cli.options import BYTES, SECONDS, quantity
from harness.store.results import suite_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.compare.gates import RegressionGate
    from harness.analysis.compare.pairing import Pair
    from harness.analysis.compare.verdicts import ComparedPair, DetectionAnalyses
    from harness.store.paths import SuiteFolder

_EXAMPLES = "map:-0.01, latency:+10%, p95:+5ms, memory:+500MB or throughput:-10images/s"
_RATES = {"images/s": 1.0, "img/s": 1.0}
_UNITS: Mapping[str, dict[str, float]] = {
    "map": {},
    "map_50": {},
    "map_75": {},
    "latency": SECONDS,
    "p95": SECONDS,
    "throughput": _RATES,
    "memory": BYTES,
    "train_speed": _RATES,
}
_COLOURS = {"better": "green", "worse": "red"}


def _limits(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> tuple[RegressionGate, ...]:
    return tuple(_limit(text.strip()) for value in values for text in value.split(","))


def _limit(text: str) -> RegressionGate:
    from harness.analysis.compare.gates import RegressionGate

    found = re.fullmatch(r"(\w+)\s*:\s*([+-])\s*((\d+(?:\.\d+)?)\s*(\S*))", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no limit with a sign, such as {_EXAMPLES}")
    metric, sign, amount, number, unit = found.groups()
    if metric not in _UNITS:
        raise click.BadParameter(f"{text!r}: {metric!r} is none of {', '.join(_UNITS)}")
    units = _UNITS[metric]
    if unit == "%":
        max_change = float(number) / 100
    elif units:
        max_change = quantity(amount, units, f"10% or 10{next(iter(units))}")
    elif not unit:
        max_change = float(number)
    else:
        raise click.BadParameter(f"{text!r}: {metric} is between 0 and 1: a limit on it has no unit, or %")
    return RegressionGate(
        text=text, metric=metric, direction=1 if sign == "+" else -1, max_change=max_change, relative=unit == "%"
    )


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print the same as data, in SI units.")
@click.option(
    "--fail-on",
    "limits",
    multiple=True,
    callback=_limits,
    metavar="METRIC:±LIMIT",
    help=f"Exit with 1 where B moved further than that: {_EXAMPLES}. Repeat it, or part limits by commas.",
)
def compare(a: str, b: str, *, as_json: bool, limits: tuple[RegressionGate, ...]) -> None:
    """Say of each detector whether B is better than A, worse, or neither, in accuracy and in speed.

    A is the reference, B the candidate: a suite's results (results/<suite>), or DIR@COMMIT, as git has them there.
    """
    with exit_codes(), contextlib.ExitStack() as opened:
        from harness.analysis.compare.gates import check_gates
        from harness.report.compare import data, render

        folders = _opened(a, opened), _opened(b, opened)
        compared = _compared(folders)
        results = check_gates(compared, limits)
        if as_json:
            click.echo(json.dumps(data((a, b), compared, results), indent=2, allow_nan=False))
        else:
            for block in render((a, b), compared, results, table=_table):
                click.echo(block)
    sys.exit(FAILED if any(result.broken for result in results) else 0)


def _opened(text: str, opened: contextlib.ExitStack) -> SuiteFolder:
    from harness.store import git

    path, commit = git.parted(text)
    return suite_folder(path) if commit is None else opened.enter_context(git.at_commit(path, commit))


def _compared(folders: tuple[SuiteFolder, SuiteFolder]) -> tuple[ComparedPair, ...]:
    from harness.analysis.compare import pairing, verdicts
    from harness.store.results import planned_trials, read_results

    references, candidates = (pairing.rows(planned_trials(read_results(folder))) for folder in folders)
    found = pairing.pair(references, candidates)
    evidence = _evidence(folders[0], found, 0), _evidence(folders[1], found, 1)
    return verdicts.compare(found, folders, evidence)


def _evidence(folder: SuiteFolder, found: Sequence[Pair], side: int) -> DetectionAnalyses:
    """What the detections tell of those trials of one side that have a counterpart they can be compared with."""
    from harness.analysis.compare.comparability import incomparable_because
    from harness.analysis.detections.cache import load_or_compute

    rows = [pair.rows[side] for pair in found if not incomparable_because(pair, "accuracy")]
    states = {state.trial.trial_id: state for row in rows for state in row.measured}
    with progress_bar("examining detections") as progress:
        return load_or_compute(folder, tuple(states.values()), progress=progress)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as markdown, or for a terminal folded to its width."""
    from harness.report.markup import table

    if not sys.stdout.isatty():
        return table(header, rows)
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for number, name in enumerate(header):
        shown.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    console = Console()
    with console.capture() as capture:
        console.print(shown)
    return capture.get().rstrip("\n")
