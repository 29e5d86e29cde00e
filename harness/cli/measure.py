"""`harness measure` and `harness doctor`: numbers without training, and whether this machine is fit to take them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click

from harness.cli import signals
from harness.cli.errors import FAILED, exit_codes
from harness.cli.options import DEVICE, RESULTS
from harness.errors import UsageError
from harness.store.results import find_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.remeasure import Target
    from harness.store.events import Event
    from harness.store.paths import ResultFolder
    from harness.store.record import Inference, MeasurementWarning, Metrics, Record
    from harness.suite.schema import Level, Precision, VariantName

_MEBIBYTE = 2**20


def _variants(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[VariantName, ...] | None:
    if value is None:
        return None
    from harness.suite.schema import VariantName

    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in get_args(VariantName)]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: known are {', '.join(get_args(VariantName))}")
    return cast("tuple[VariantName, ...]", tuple(dict.fromkeys(names)))


@click.command()
@click.argument("target", metavar="CHECKPOINT|TRIAL_ID")
@RESULTS
@DEVICE
@click.option("--suite", type=click.Path(path_type=Path), help="For a checkpoint of no trial: where its images are.")
@click.option("--dataset", metavar="NAME", help="Which dataset of --suite, if it has several.")
@click.option("--protocol", type=click.Choice(["quick", "standard", "publish"]), help="Another level than the trial's.")
@click.option(
    "--variants", callback=_variants, metavar="A,B", help="Other variants than the trial's, e.g. onnxruntime."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where it goes, if not beside the weights.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="Other than that of the training.")
def measure(  # noqa: PLR0913 - a command's options
    target: str,
    *,
    results: Path,
    device: str,
    suite: Path | None,
    dataset: str | None,
    protocol: Level | None,
    variants: tuple[VariantName, ...] | None,
    precision: Precision | None,
    out: Path | None,
) -> None:
    """Evaluate and measure fine-tuned weights again, without training: a file of weights, or a trial's.

    The start of a trial's id is enough. The trial's record stays as it is; what is measured goes beside it.
    """
    from harness import remeasure

    with exit_codes():
        chosen = remeasure.adjusted(
            _target(target, results, suite, dataset), level=protocol, variants=variants, precision=precision
        )
        if out is not None:
            chosen = remeasure.elsewhere(chosen, out.resolve())
        signals.listen_for_signals()
        found = remeasure.measure(chosen, device=device, on_event=_stages())
        if found.record is None:
            click.echo(f"Error: not measured: {found.reason}\nlog: {found.folder.log}", err=True)
            sys.exit(FAILED)
        for line in _said(found.record, found.folder.result, chosen):
            click.echo(line)
        click.echo(f"Record: {found.folder.result.record}")


@click.command()
@DEVICE
def doctor(device: str) -> None:
    """Say whether this machine is fit to measure on, and how far apart one model measured five times lies."""
    from harness import api

    with exit_codes():
        sys.exit(api.doctor(device))


def _target(target: str, results: Path, suite: Path | None, dataset: str | None) -> Target:
    """Weights in a file, a trial's weights in a file, or a trial by its id."""
    from harness import remeasure
    from harness.store.paths import TrialFolder
    from harness.store.results import read_record

    path = Path(target)
    if not path.is_file():
        if suite is not None:
            raise UsageError(f"{target}: is no file; --suite is for a checkpoint that belongs to no trial")
        folder, state = find_trial(target, results)
        if state.record is None:
            raise UsageError(f"{state.trial.trial_id}: has no record, so no finished weights; `harness run` makes them")
        return remeasure.trained(folder.trial(state.trial.trial_id), state.record)
    if suite is not None:
        return remeasure.checkpoint(path, suite, dataset)
    trial_folder = TrialFolder(path.resolve().parent.parent)
    record = read_record(trial_folder)
    if record is None or path.resolve() != (trial_folder.path / record.model.checkpoint).resolve():
        raise UsageError(f"{path}: belongs to no trial; name the images to measure on with --suite FILE")
    return remeasure.trained(trial_folder, record)


def _stages() -> Callable[[Event], None]:
    """Return what prints a line for each stage that begins."""
    from harness.observers.wording import describe
    from harness.store.events import StageEvent

    def show(event: Event) -> None:
        if isinstance(event, StageEvent):
            variant = f"{event.variant}: " if event.variant else ""
            click.echo(f"  {variant}{describe(event.stage, None)}")

    return show


def _said(record: Record, folder: ResultFolder, target: Target) -> Iterator[str]:
    """A table of what was measured, its doubts, and how it compares to the trial's own record."""
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
    if target.recorded is not None:
        yield from _compared(record, folder, *target.recorded)


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


def _compared(now: Record, folder: ResultFolder, then: Record, recorded: ResultFolder) -> Iterator[str]:
    from harness.analysis import environments, statistics
    from harness.store.record import AS_TRAINED

    ours, theirs = (statistics.read_latencies(place.samples).get(AS_TRAINED) for place in (folder, recorded))
    if ours is not None and theirs is not None:
        found = statistics.compare_latency(ours, theirs)
        called = "a difference" if found.differs else "not called a difference"
        if found.differs is False and found.drift > abs(found.ratio.value - 1):
            called += f": rounds within one measurement lie {found.drift:.0%} apart"
        yield (
            f"latency against the trial's record: {found.ratio.value:.3f}× (99 % interval {found.ratio.low:.3f} to "
            f"{found.ratio.high:.3f}): {called}"
        )
    others = environments.differences((then.environment, now.environment))
    if others:
        yield f"the record is of another environment: {', '.join(others)}"
