"""`harness measure` and `harness doctor`: numbers without training, and whether this machine is fit to take them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import signals
from harness.cli.errors import FAILED, exit_codes
from harness.cli.options import DEVICE, EXECUTOR, RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Measurement
    from harness.store.events import Event
    from harness.store.record import Inference, MeasurementWarning, Metrics, Record

_MEBIBYTE = 2**20


def _variants(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(name.strip() for name in value.split(",") if name.strip())


@click.command()
@click.argument("target", metavar="CHECKPOINT|TRIAL_ID")
@RESULTS
@DEVICE
@click.option("--suite", type=click.Path(path_type=Path), help="For a checkpoint of no trial: where its images are.")
@click.option("--dataset", metavar="NAME", help="Which dataset of --suite, if it has several.")
@click.option("--protocol", type=click.Choice(["quick", "standard", "publish"]), help="Another level than the trial's.")
@click.option(
    "--variants", callback=_variants, metavar="A,B", help="Other variants than the trial's, e.g. onnxruntime,openvino."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where it goes, if not beside the weights.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="Other than that of the training.")
@EXECUTOR
def measure(  # noqa: PLR0913 - a command's options
    target: str,
    *,
    results: Path,
    device: str,
    suite: Path | None,
    dataset: str | None,
    protocol: str | None,
    variants: tuple[str, ...] | None,
    precision: str | None,
    out: Path | None,
    executor: str,
) -> None:
    """Evaluate and measure fine-tuned weights again, without training: a file of weights, or a trial's.

    The start of a trial's id is enough. The trial's record stays as it is; what is measured goes beside it.
    """
    from harness import api

    with exit_codes():
        signals.listen_for_signals()
        measurement = api.measure(
            target,
            results=results,
            suite=suite,
            dataset=dataset,
            device=device,
            protocol=protocol,
            variants=variants,
            precision=precision,
            out=out,
            executor=executor,
            on_event=_stages(),
        )
        if measurement.record is None:
            click.echo(f"Error: not measured: {measurement.reason}\nlog: {measurement.folder.log}", err=True)
            sys.exit(FAILED)
        for line in _lines(measurement, measurement.record):
            click.echo(line)
        click.echo(f"Record: {measurement.folder.result.record}")


@click.command()
@DEVICE
def doctor(device: str) -> None:
    """Say whether this machine is fit to measure on, and how far apart one model measured five times lies."""
    from harness import api

    with exit_codes():
        sys.exit(api.doctor(device))


def _stages() -> Callable[[Event], None]:
    """Print a line for each stage of the measurement that begins."""
    from harness.observers.wording import describe
    from harness.store.events import StageEvent

    def show(event: Event) -> None:
        if isinstance(event, StageEvent):
            variant = f"{event.variant}: " if event.variant else ""
            click.echo(f"  {variant}{describe(event.stage, None)}")

    return show


def _lines(measurement: Measurement, record: Record) -> Iterator[str]:
    """A table of what was measured, its warnings, and how it compares with the trial's own record."""
    from harness.report.markup import table

    rows = [_row(f"eager ({record.trial.hyperparameters.precision})", record.measurements, record.metrics)]
    warnings = [("eager", warning) for warning in record.warnings]
    for variant in record.variants:
        if variant.measurements is None or variant.metrics is None:
            rows.append((variant.name, *("–",) * 5))
            warnings.append((variant.name, _cannot(variant.problem)))
            continue
        rows.append(_row(variant.name, variant.measurements, variant.metrics))
        warnings += [(variant.name, warning) for warning in variant.warnings]
    yield table(("", "mAP", "latency median ms", "p95 ms", "throughput img/s (batch)", "peak memory MiB"), rows)
    for name, warning in warnings:
        yield f"{name}: {warning.name}: {warning.reason}"
    yield from _changes(measurement)


def _row(name: str, measured: Inference, metrics: Metrics) -> tuple[str, ...]:
    latency, memory = measured.latency_s, measured.memory.inference
    peak = memory.peak_reserved_bytes or memory.peak_resident_bytes
    return (
        name,
        "–" if metrics.map is None else f"{metrics.map:.3f}",
        f"{latency.median * 1e3:.2f}",
        f"{latency.p95 * 1e3:.2f}",
        f"{measured.throughput_images_per_s:.1f} ({measured.throughput_batch_size})",
        "–" if peak is None else f"{peak / _MEBIBYTE:.0f}",
    )


def _cannot(problem: str | None) -> MeasurementWarning:
    from harness.store.record import MeasurementWarning

    return MeasurementWarning(name="cannot", reason=problem or "")


def _changes(measurement: Measurement) -> Iterator[str]:
    """How the measurement differs from the trial's own record."""
    ratio = measurement.latency_ratio()
    if ratio is not None:
        yield (
            f"latency against the trial's record: {ratio:.3f}×, by medians of one process each, which differ for equal "
            "weights too"
        )
    others = measurement.environment_differences()
    if others:
        yield f"the record is of another environment: {', '.join(others)}"
