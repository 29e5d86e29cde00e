"""`harness recommend`: the detector to ship within limits, in the terminal, with the reason each other one lost."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli.errors import FAILED, exit_codes
from harness.cli.options import BYTES, SECONDS, quantity
from harness.store.results import suite_folder

_METRICS = ("map", "map_50", "map_75")


def _latency(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    return None if value is None else quantity(value, SECONDS, "30ms")


def _memory(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else round(quantity(value, BYTES, "4GB"))


@click.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
@click.option("--max-latency", callback=_latency, metavar="30ms", help="Median latency, batch 1.")
@click.option("--max-memory", callback=_memory, metavar="4GB", help="Peak memory of inference.")
@click.option("--min-map", type=click.FloatRange(0, 1), metavar="0.3", help="Of the metric that --metric names.")
@click.option("--metric", type=click.Choice(_METRICS), default="map", show_default=True, help="What to be best in.")
def recommend(
    results_dir: Path, max_latency: float | None, max_memory: int | None, min_map: float | None, metric: str
) -> None:
    """Say which detector of RESULTS_DIR (results/<suite>) to ship within limits, and why each other one lost.

    Exits with 1 where a dataset has none.
    """
    from harness.analysis import environments
    from harness.analysis.frame import configuration_frame, trial_frame
    from harness.analysis.recommend import Bounds, advise, sentence
    from harness.formatting import printable
    from harness.store.results import planned_trials, read_results

    with exit_codes():
        states = planned_trials(read_results(suite_folder(results_dir)))
        frame = configuration_frame(trial_frame(states))
        bounds = Bounds(max_latency_s=max_latency, max_memory_bytes=max_memory, min_metric=min_map)
        others = environments.differences([state.record.environment for state in states if state.record])
        if others:
            click.echo(f"measured in different environments ({'; '.join(others)}): their speeds do not compare")
        found = advise(frame, bounds, metric)
        lines = []
        for advice in found:
            if advice.chosen is None:
                lines.append(f"{advice.dataset}: nothing keeps to these limits")
            else:
                lines.append(f"{advice.dataset}: ship {advice.chosen['label']}: {sentence(advice.chosen, metric)}")
                warnings = dict.fromkeys(name for name, _ in advice.chosen["warnings"])
                lines += [f"  in doubt: {', '.join(warnings)}; the report says why"] if warnings else []
            lines += [f"  not {label}: {reason}" for label, reason in advice.lost]
        for line in lines:
            indent = " " * (len(line) - len(line.lstrip(" ")))
            click.echo(indent + printable(line))
        sys.exit(0 if found and all(advice.chosen is not None for advice in found) else FAILED)
