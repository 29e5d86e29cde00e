"""`harness status` and `harness show`: what lies in a results folder, in the terminal, also while a run goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.errors import exit_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.store.paths import SuiteFolder
    from harness.store.results import TrialState
from harness.store.results import find_trial, suite_folder


@click.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
def status(results_dir: Path) -> None:
    """Say how far the run in RESULTS_DIR (results/<suite>) is, from its files alone: also from another machine."""
    with exit_codes():
        for line in _status(suite_folder(results_dir)):
            click.echo(line)


@click.command()
@click.argument("trial_id")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default="results",
    show_default=True,
    help="Folder that holds results/<suite>/, or one suite's own.",
)
def show(trial_id: str, results: Path) -> None:
    """Print one trial: its hyperparameters, its curve, its numbers, its attempts. The start of its id is enough."""
    with exit_codes():
        _, state = find_trial(trial_id, results)
        for line in _shown(state):
            click.echo(line)


def _status(folder: SuiteFolder) -> Iterator[str]:
    from harness.store import lock, run_status
    from harness.store.results import planned_trials, read_plan, read_results

    found = read_results(folder)
    states = planned_trials(found)
    measured, failed, left = run_status.counts(states)
    yield f"{folder.path.name}: {measured} of {len(states)} trials measured, {failed} failed, {left} left"
    span = run_status.span(states)
    if span:
        yield f"first started {_local(span[0])}, last ended {_local(span[1])}"
    holder = lock.holder(folder.lock)
    if holder is not None:
        yield f"running on {holder.host} (process {holder.pid}) since {_local(holder.since)}"
    elif left:
        suite_file = read_plan(folder).suite_file or "SUITE"
        yield f"nobody runs it now; `harness run {suite_file} --results {folder.path.parent}` goes on"
    for state in states:
        if state.running is not None and holder is not None:
            yield _running(state)
    if left:
        yield _forecast(states)
    for group in run_status.failures(states):
        yield ""
        yield f"{group.outcome}: {group.reason}"
        yield from (f"    {line}" for line in (group.traceback or "").splitlines())
        for state in group.states:
            yield f"  {state.trial.trial_id}" + (f"  log: {state.log}" if state.log else "")
            again = run_status.command(state, suite_file=read_plan(folder).suite_file, results=folder.path.parent)
            yield f"    again: {again}"


def _running(state: TrialState) -> str:
    """What a running attempt is doing, from its last progress lines."""
    from harness.formatting import rough_duration
    from harness.observers.wording import describe
    from harness.store.events import StepEvent, read_events

    assert state.running is not None
    events = read_events(state.running.events)
    if not events:
        return f"{state.trial.trial_id}: starting"
    step = next((event for event in reversed(events) if isinstance(event, StepEvent)), None)
    stage = next((event.stage for event in reversed(events) if event.stage), "")
    silent = (datetime.now(UTC) - datetime.fromisoformat(events[-1].time)).total_seconds()
    return f"{state.trial.trial_id}: {describe(stage, step)}; last sign of life {rough_duration(max(0.0, silent))} ago"


def _forecast(states: tuple[TrialState, ...]) -> str:
    """How long the rest takes, as rehearsals and the trials that ran say."""
    from harness.observers.wording import forecast
    from harness.scheduling import estimate
    from harness.suite.expand import configuration_key

    trials = [state.trial for state in states]
    rehearsals = {configuration_key(s.trial): s.preflight for s in states if s.preflight is not None}
    expected = estimate.expected_s(trials, rehearsals, [s.record for s in states if s.record])
    return forecast([s.trial for s in states if s.record is None and not s.failed], expected)


def _shown(state: TrialState) -> Iterator[str]:
    from dataclasses import asdict

    from harness.formatting import rough_duration

    trial, record = state.trial, state.record
    yield trial.trial_id
    yield f"  dataset        {trial.dataset.name} ({trial.dataset.source.format})"
    choice, size = trial.architecture, trial.architecture.image_size
    yield f"  architecture   {choice.name}, weights {choice.weights}, image size {size.min}/{size.max}"
    yield f"  seed           {trial.seed}"
    yield "hyperparameters"
    for key, value in asdict(trial.hyperparameters).items():
        yield f"  {key:<16} {_plain(value)}"
    if record is not None:
        yield from _numbers(state)
    yield "attempts"
    for attempt in state.attempts or (record.attempts if record else ()):
        reason = f": {attempt.reason}" if attempt.reason else ""
        yield (
            f"  {attempt.number}  {_local(attempt.started_at)}  {rough_duration(attempt.wall_s):>8}  "
            f"{attempt.outcome.replace('_', ' ')}{reason}"
        )
    if state.running is not None:
        yield f"  {state.running.number}  has not ended: it runs, or was killed with its runner"
    if state.problem:
        yield f"problem: {state.problem}"
    if state.log:
        yield f"log: {state.log}"


def _numbers(state: TrialState) -> Iterator[str]:
    from harness.formatting import metric_value

    assert state.record is not None
    metrics, measured = state.record.metrics, state.record.measurements
    if measured.epochs:
        yield "curve"
        yield f"  {'epoch':>5} {'lr':>10} {'loss':>8} {'val map':>8} {'map_50':>8} {'s':>8}"
        for e in measured.epochs:
            val = f"{metric_value(e.val_map):>8} {metric_value(e.val_map_50):>8}"
            yield f"  {e.epoch:>5} {e.lr:>10.3g} {e.loss:>8.3f} {val} {e.wall_s:>8.1f}"
    yield f"numbers, on the {metrics.split} split ({metrics.images} images)"
    yield f"  map {metric_value(metrics.map)}, map_50 {metric_value(metrics.map_50)}, map_75 {metric_value(metrics.map_75)}"
    latency = measured.latency_s
    yield f"  latency {latency.median * 1e3:.1f} ms (p95 {latency.p95 * 1e3:.1f}, n {latency.n})"
    yield f"  throughput {measured.throughput_images_per_s:.1f} images/s at {measured.throughput_batch_size} a batch"
    speed = measured.train_images_per_s
    yield f"  trained {measured.training_s or 0:.0f} s" + (f", {speed:.1f} images/s" if speed else "")
    for warning in state.record.warnings:
        yield f"  {warning.name}: {warning.reason}"
    for variant in state.record.variants:
        if variant.measurements is None or variant.metrics is None:
            yield f"  {variant.name}: cannot: {variant.problem}"
        else:
            accuracy, latency = variant.metrics.map, variant.measurements.latency_s
            yield f"  {variant.name}: map {metric_value(accuracy)}, latency {latency.median * 1e3:.1f} ms ({variant.how})"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _local(moment: str | datetime) -> str:
    """A moment in local time."""
    if isinstance(moment, str):
        if not moment:
            return "?"
        moment = datetime.fromisoformat(moment)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
