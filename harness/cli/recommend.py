"""`harness recommend`: the detector to ship within limits, in the terminal, with the reason each other one lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.errors import FAILED, exit_codes, progress_bar
from harness.cli.options import quantity
from harness.formatting import BYTES, SECONDS, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness import Advice

_METRICS = ("map", "map_50", "map_75")


@click.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
@click.option("--max-latency", callback=quantity(SECONDS, "30ms"), metavar="30ms", help="Median latency, batch 1.")
@click.option("--max-memory", callback=quantity(BYTES, "4GB"), metavar="4GB", help="Peak memory of inference.")
@click.option("--min-map", type=click.FloatRange(0, 1), metavar="0.3", help="Of the metric that --metric names.")
@click.option("--metric", type=click.Choice(_METRICS), default="map", show_default=True, help="What to be best in.")
def recommend(
    results_dir: Path, max_latency: float | None, max_memory: float | None, min_map: float | None, metric: str
) -> None:
    """Say which detector of RESULTS_DIR (results/<suite>) to ship within limits, and why each other one lost.

    Of those whose accuracy is not separated from the best one's, that is the fastest, as in the report. Exits with 1
    where that cannot be said: nothing keeps to the limits, seeds failed, rows are not measured or do not compare.
    """
    from harness import api

    with exit_codes():
        with progress_bar("examining detections") as progress:
            advices = api.recommend(
                results_dir,
                max_latency_s=max_latency,
                max_memory_bytes=None if max_memory is None else round(max_memory),
                min_metric=min_map,
                metric=metric,
                progress=progress,
            )
        for line in _lines(advices):
            indent = " " * (len(line) - len(line.lstrip(" ")))
            click.echo(indent + printable(line))
        sys.exit(0 if advices and all(advice.ships for advice in advices) else FAILED)


def _lines(advices: Sequence[Advice]) -> Iterator[str]:
    for advice in advices:
        yield str(advice)
        yield from (f"  {remark}" for remark in advice.remarks)
        if advice.warnings:
            yield f"  warnings: {', '.join(advice.warnings)}; the report says why"
        yield from (f"  not {label}: {reason}" for label, reason in advice.lost)
