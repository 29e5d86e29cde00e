"""`harness status` and `harness show`: what lies in a results folder, in the terminal, also while a run goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.errors import exit_codes
from harness.formatting import metric_value, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.api import RunStatus
    from harness.store.results import TrialState
    from harness.suite.trial import Trial


@click.command()
@click.argument("results_dir", type=click.Path(path_type=Path))
def status(results_dir: Path) -> None:
    """Say how far the run in RESULTS_DIR (results/<suite>) is, from its files alone: also from another machine."""
    from harness import api

    with exit_codes():
        for line in _status_lines(api.status(results_dir)):
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
    from harness import api

    with exit_codes():
        for line in _trial_lines(api.load_trial(trial_id, results)):
            click.echo(line)


def _status_lines(status: RunStatus) -> Iterator[str]:
    from harness.observers.wording import forecast
    from harness.store import run_status

    results, suite_file = status.folder.path.parent, status.suite_file
    measured, failed, left = status.counts
    name, count = status.folder.path.name, len(status.states)
    yield f"{name}: {measured} of {count} trials measured, {failed} failed, {left} left"
    if status.span:
        yield f"first started {_local(status.span[0])}, last ended {_local(status.span[1])}"
    if status.holder is not None:
        holder = status.holder
        known = f"on {holder.host} (process {holder.pid}) since {_local(holder.since)}"
        yield f"running {known if holder.pid else 'in another process'}"
        yield from (_running(state) for state in status.states if state.running is not None)
    elif left:
        yield f"no run is in progress; `harness run {suite_file or 'SUITE'} --results {results}` continues it"
    if left:
        yield forecast([state.trial for state in status.pending], _left_s(status))
    for group in status.failures:
        yield ""
        yield f"{group.outcome}: {printable(group.reason)}"
        yield from (f"    {line}" for line in (group.traceback or "").splitlines())
        for state in group.states:
            yield f"  {state.trial.trial_id}" + (f"  log: {state.log}" if state.log else "")
            yield f"    again: {run_status.command(state, suite_file=suite_file, results=results)}"


def _left_s(status: RunStatus) -> dict[str, float]:
    """The seconds that each trial still takes, by id: of a running one what is left, at its pace, as of all others."""
    from harness.observers.progress import replayed
    from harness.store.events import read_events

    left_s, factor = {trial_id: stages.total_s() for trial_id, stages in status.expected_stages.items()}, 1.0
    for state in status.states:
        expected = status.expected_stages.get(state.trial.trial_id)
        if status.holder is not None and state.running is not None and expected is not None:
            events = read_events(state.running.events)
            left_s[state.trial.trial_id], factor = replayed(state.trial, events, expected, datetime.now(UTC))
    return {trial_id: seconds * factor for trial_id, seconds in left_s.items()}


def _running(state: TrialState) -> str:
    """What a running attempt is doing, from its last progress lines."""
    from harness.formatting import rough_duration
    from harness.observers.wording import describe
    from harness.store.events import StepEvent, event_moment, read_events

    assert state.running is not None
    events = read_events(state.running.events)
    if not events:
        return f"{state.trial.trial_id}: starting"
    step = next((event for event in reversed(events) if isinstance(event, StepEvent)), None)
    stage = next((event.stage for event in reversed(events) if event.stage), "")
    doing = f"{state.trial.trial_id}: {describe(stage, step)}"
    last = next((moment for event in reversed(events) if (moment := event_moment(event))), None)
    if last is None:  # no event has a time that can be read
        return doing
    silent_s = (datetime.now(UTC) - last).total_seconds()
    return f"{doing}; last sign of life {rough_duration(max(0.0, silent_s))} ago"


def _trial_lines(state: TrialState) -> Iterator[str]:
    from dataclasses import asdict

    from harness.formatting import rough_duration

    trial, record = state.trial, state.record
    yield trial.trial_id
    yield f"  dataset        {trial.dataset.name} ({trial.dataset.source.format})"
    choice, size = trial.architecture, trial.architecture.image_size
    yield f"  architecture   {choice.name}, weights {choice.weights}, image size {size.min}/{size.max}"
    yield f"  seed           {trial.seed}"
    yield from _search_lines(trial)
    if choice.model:
        yield "options of the model"
        yield from (f"  {name:<26} {json.dumps(value)}" for name, value in choice.model.items())
    yield "hyperparameters"
    h = trial.hyperparameters
    for key, value in {**asdict(h), **({"budget": h.budget.words()} if h.budget is not None else {})}.items():
        yield f"  {key:<16} {_plain(value)}"
    if record is not None:
        yield from _numbers(state)
    yield "attempts"
    for attempt in state.attempts or (record.attempts if record else ()):
        reason = f": {printable(attempt.reason)}" if attempt.reason else ""
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


def _search_lines(trial: Trial) -> Iterator[str]:
    """Say what a trial has to do with a search for hyperparameters, if it has."""
    if trial.search is not None:
        step = trial.search
        yield f"  search         trial {step.number}, judged by {step.metric} on val: {_plain(dict(step.values))}"
    if trial.tuned is not None and trial.tuned.trial_id is not None:
        tuned = trial.tuned
        score = f"{tuned.metric} {metric_value(tuned.score)} on val in {tuned.trial_id}"
        yield f"  tuned          {_plain(dict(tuned.values))}: {score}"


def _numbers(state: TrialState) -> Iterator[str]:
    from harness.formatting import counted

    assert state.record is not None
    metrics, measured = state.record.metrics, state.record.measurements
    if measured.epochs:
        yield "curve"
        yield f"  {'epoch':>5} {'lr':>10} {'loss':>8} {'val loss':>8} {'val map':>8} {'map_50':>8} {'s':>8}"
        for e in measured.epochs:
            val = " ".join(f"{metric_value(value):>8}" for value in (e.val_loss, e.val_map, e.val_map_50))
            yield f"  {e.epoch:>5} {e.lr:>10.3g} {e.loss:>8.3f} {val} {e.wall_s:>8.1f}"
        if measured.stopped_epoch is not None:
            h = state.record.trial.hyperparameters
            asked = h.epochs if h.budget is None else f"a budget of {h.budget.words()}"
            yield f"  early stopping ended training after epoch {measured.stopped_epoch} of {asked}"
    yield f"numbers, on the {metrics.split} split ({counted(metrics.images, 'image')})"
    accuracies = {"map": metrics.map, "map_50": metrics.map_50, "map_75": metrics.map_75}
    yield "  " + ", ".join(f"{name} {metric_value(value)}" for name, value in accuracies.items())
    latency = measured.latency_s
    yield f"  latency {latency.median * 1e3:.1f} ms (p95 {latency.p95 * 1e3:.1f}, n {latency.n})"
    yield f"  throughput {measured.throughput_images_per_s:.1f} images/s at {measured.throughput_batch_size} a batch"
    speed = measured.train_images_per_s
    seen = f", {counted(measured.images_seen, 'image')} seen" if measured.images_seen is not None else ""
    yield f"  trained {measured.training_s or 0:.0f} s{seen}" + (f", {speed:.1f} images/s" if speed else "")
    for warning in state.record.warnings:
        yield f"  {warning.name}: {printable(warning.reason)}"
    for variant in state.record.variants:
        if variant.measurements is None or variant.metrics is None:
            yield f"  {variant.name}: cannot: {printable(variant.problem)}"
        else:
            accuracy, median_s = metric_value(variant.metrics.map), variant.measurements.latency_s.median
            yield f"  {variant.name}: map {accuracy}, latency {median_s * 1e3:.1f} ms ({variant.how})"


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
