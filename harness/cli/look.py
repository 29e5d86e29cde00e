"""`harness status` and `harness show`: what lies in a results folder, in the terminal, also while a run goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.exits import exit_codes
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.store.files import SuiteFolder
    from harness.store.results import State


def suite_folder(path: Path) -> SuiteFolder:
    """The results of a suite at `path`.

    Raises:
        UsageError: there are none; names those below.
    """
    from harness.store.files import SuiteFolder

    folder = SuiteFolder(path)
    if not folder.trials() and not folder.plan.is_file():
        inside = sorted(e.name for e in path.iterdir() if (e / "trials").is_dir()) if path.is_dir() else []
        hint = f"; it holds the suites {', '.join(inside)}: give one of them" if inside else ""
        raise UsageError(f"{path}: no results of a suite (no trials/ in it){hint}")
    return folder


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
        _, state = find(trial_id, results)
        for line in _shown(state):
            click.echo(line)


def _status(folder: SuiteFolder) -> Iterator[str]:
    from harness.report import night
    from harness.store import lock
    from harness.store.results import covered, read_plan, read_results

    found = read_results(folder)
    states = covered(found)
    measured, failed, left = night.counts(states)
    yield f"{folder.path.name}: {measured} of {len(states)} trials measured, {failed} failed, {left} left"
    span = night.span(states)
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
    for group in night.failures(states):
        yield ""
        yield f"{group.outcome}: {group.reason}"
        yield from (f"    {line}" for line in (group.traceback or "").splitlines())
        for state in group.states:
            yield f"  {state.trial.trial_id}" + (f"  log: {state.log}" if state.log else "")
            again = night.command(state, suite_file=read_plan(folder).suite_file, results=folder.path.parent)
            yield f"    again: {again}"


def _running(state: State) -> str:
    """What a running attempt is doing, from its last progress lines."""
    from harness.progress import describe, duration
    from harness.store.results import read_events

    assert state.running is not None
    events = read_events(state.running)
    if not events:
        return f"{state.trial.trial_id}: starting"
    step = next((event for event in reversed(events) if event["event"] == "step"), {})
    stage = next((str(event["stage"]) for event in reversed(events) if "stage" in event), "")
    silent = (datetime.now(UTC) - datetime.fromisoformat(str(events[-1]["time"]))).total_seconds()
    return f"{state.trial.trial_id}: {describe(stage, step)}; last sign of life {duration(max(0.0, silent))} ago"


def _forecast(states: tuple[State, ...]) -> str:
    """How long the rest takes, as rehearsals and the trials that ran say."""
    from harness.execute import estimate
    from harness.progress import forecast
    from harness.suite.plan import configuration

    trials = [state.trial for state in states]
    rehearsals = {configuration(s.trial): s.rehearsal for s in states if s.rehearsal is not None}
    expected = estimate.expected_s(trials, rehearsals, [s.record for s in states if s.record])
    return forecast([s.trial for s in states if s.record is None and not s.failed], expected)


def find(trial_id: str, results: Path) -> tuple[SuiteFolder, State]:
    """The one trial whose id starts so, in a suite's folder or in any below `results`.

    Raises:
        UsageError: there is none, or more than one.
    """
    from harness.store.files import SuiteFolder
    from harness.store.results import read_results

    if (results / "trials").is_dir():
        folders = [SuiteFolder(results)]
    else:
        folders = [SuiteFolder(path.parent) for path in sorted(results.glob("*/trials"))]
    name = Path(trial_id).name  # a path to the trial's folder is as good
    known = [(folder, state) for folder in folders for state in read_results(folder)]
    found = [(folder, state) for folder, state in known if state.trial.trial_id == name]
    found = found or [(folder, state) for folder, state in known if state.trial.trial_id.startswith(name)]
    if len(found) != 1:
        many = found or known
        said = "several trials start so" if found else f"no such trial in {results}"
        listed = "\n".join(f"  {state.trial.trial_id}" for _, state in many)
        raise UsageError(f"{trial_id}: {said}" + (f":\n{listed}" if listed else ""))
    return found[0]


def _shown(state: State) -> Iterator[str]:
    from dataclasses import asdict

    from harness.progress import duration

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
            f"  {attempt.number}  {_local(attempt.started_at)}  {duration(attempt.wall_s):>8}  "
            f"{attempt.outcome.replace('_', ' ')}{reason}"
        )
    if state.running is not None:
        yield f"  {state.running.number}  has not ended: it runs, or was killed with its runner"
    if state.problem:
        yield f"problem: {state.problem}"
    if state.log:
        yield f"log: {state.log}"


def _numbers(state: State) -> Iterator[str]:
    from harness.progress import number

    assert state.record is not None
    metrics, measured = state.record.metrics, state.record.measurements
    if measured.epochs:
        yield "curve"
        yield f"  {'epoch':>5} {'lr':>10} {'loss':>8} {'val map':>8} {'map_50':>8} {'s':>8}"
        for e in measured.epochs:
            val = f"{number(e.val_map):>8} {number(e.val_map_50):>8}"
            yield f"  {e.epoch:>5} {e.lr:>10.3g} {e.loss:>8.3f} {val} {e.wall_s:>8.1f}"
    yield f"numbers, on the {metrics.split} split ({metrics.images} images)"
    yield f"  map {number(metrics.map)}, map_50 {number(metrics.map_50)}, map_75 {number(metrics.map_75)}"
    latency = measured.latency_s
    yield f"  latency {latency.median * 1e3:.1f} ms (p95 {latency.p95 * 1e3:.1f}, n {latency.n})"
    yield f"  throughput {measured.throughput_images_per_s:.1f} images/s at {measured.throughput_batch_size} a batch"
    speed = measured.train_images_per_s
    yield f"  trained {measured.training_s or 0:.0f} s" + (f", {speed:.1f} images/s" if speed else "")
    for flag in state.record.flags:
        yield f"  {flag.name}: {flag.reason}"
    for variant in state.record.variants:
        if variant.measurements is None or variant.metrics is None:
            yield f"  {variant.name}: cannot: {variant.problem}"
        else:
            accuracy, latency = variant.metrics.map, variant.measurements.latency_s
            yield f"  {variant.name}: map {number(accuracy)}, latency {latency.median * 1e3:.1f} ms ({variant.how})"


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
