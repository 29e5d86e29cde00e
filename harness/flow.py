"""The whole program as a story: load the suite, plan its trials, skip what is recorded, execute the rest, report.

Owns the order of things. Every stage is a function of another room that a test can call alone.
"""

from __future__ import annotations

import fnmatch
import logging
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.data import splits
from harness.errors import DataError, SuiteError, UsageError
from harness.execute import supervise
from harness.store import files, record, results
from harness.store.files import SuiteFolder
from harness.suite.catalog import BY_NAME
from harness.suite.load import Suite, load_suite
from harness.suite.plan import plan_trials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.execute.supervise import Ending, Event
    from harness.suite.spec import Trial

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Whoever shows a run to a person."""

    def begin(self, plan: Plan) -> None:
        """The run starts."""

    def start(self, trial: Trial, log_path: Path) -> None:
        """A trial starts."""

    def event(self, event: Event | None) -> None:
        """The trial's child said something, or nothing yet."""

    def end(self, trial: Trial, ending: Ending) -> None:
        """A trial ended."""

    def close(self) -> None:
        """The run is over, however it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a suite asks for and what of it is done.

    Attributes:
        trials: all of the suite, in the order they are to run.
        selected: those that `--select` leaves.
        done: ids of those with a record, and the device that measured each.
    """

    suite: Suite
    folder: SuiteFolder
    trials: tuple[Trial, ...]
    selected: tuple[Trial, ...]
    done: Mapping[str, str]

    @property
    def left(self) -> tuple[Trial, ...]:
        """The selected trials without a record."""
        return tuple(trial for trial in self.selected if trial.trial_id not in self.done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run ended: the report's path, and how many selected trials have a record now and how many have not."""

    report: Path
    succeeded: int
    failed: int


def make_plan(suite_path: Path, *, results_folder: Path, select: str | None, limit: int | None) -> Plan:
    """Load a suite, look at its data, and see which of its trials have a record.

    Raises:
        SuiteError: the file or the data it names is wrong: every problem.
        UsageError: `select` matches no trial.
    """
    suite = load_suite(suite_path)
    trials = plan_trials(suite, _fingerprints(suite), limit=limit)
    selected = tuple(trial for trial in trials if select is None or fnmatch.fnmatchcase(trial.trial_id, select))
    if not selected:
        known = "\n".join(f"  {trial.trial_id}" for trial in trials)
        raise UsageError(f"--select {select}: matches none of the suite's trials:\n{known}")
    folder = SuiteFolder(results_folder / suite.name)
    done: dict[str, str] = {}
    for trial in trials:
        try:
            found = results.read_record(folder.trial(trial.trial_id))
        except record.RecordError as error:
            log.warning("%s; the trial counts as not done", error)
        else:
            if found is not None:
                done[trial.trial_id] = found.environment.device
    return Plan(suite=suite, folder=folder, trials=trials, selected=selected, done=done)


def run(plan: Plan, *, device: str, watcher: Watcher) -> Summary:
    """Execute every selected trial that has no record; the report is rewritten after each.

    Raises:
        MachineError: the disk or the device stopped the run; finished trials keep their records.
        KeyboardInterrupt: after the running child was ended and the report written.
    """
    files.make_folder(plan.folder.path)
    files.sweep(plan.folder.path)
    files.replace(plan.folder.plan, results.encode_plan(_asked_for(plan)))
    report = write_report(plan.folder)
    threads = supervise.available_cores()
    recorded = 0
    watcher.begin(plan)
    try:
        for trial in plan.left:
            ending = _run_trial(plan, trial, device=device, threads=threads, watcher=watcher)
            recorded += ending.recorded
            write_report(plan.folder)
    except BaseException:
        write_report(plan.folder)
        raise
    finally:
        watcher.close()
    failed = len(plan.left) - recorded
    return Summary(report=report, succeeded=len(plan.selected) - failed, failed=failed)


def write_report(folder: SuiteFolder) -> Path:
    """Render the page of a results folder.

    Raises:
        MachineError: it cannot be written.
    """
    from harness.report import page  # pandas and matplotlib take a second, which plan and validate need not wait for

    return page.write(folder)


def fetch(suite: Suite) -> int:
    """Download every pretrained file that the suite needs, in a process of its own; 0 if all are there now."""
    wanted = wanted_weights(suite)
    arguments = [f"{name}={word}" for name, word, _ in wanted]
    if not arguments:
        return 0
    done = subprocess.run((sys.executable, "-m", "harness.trial.models.weights", *arguments), check=False)
    return done.returncode


def wanted_weights(suite: Suite) -> tuple[tuple[str, str, str], ...]:
    """(architecture, default or backbone, file name) of each published file that the suite starts from."""
    wanted = {}
    for setting in suite.settings:
        row, word = BY_NAME[setting.architecture.name], setting.architecture.weights
        if word in {"default", "backbone"}:
            wanted[row.name, word] = row.weights_file if word == "default" else row.backbone_file
    return tuple((name, word, file) for (name, word), file in wanted.items())


def _asked_for(plan: Plan) -> tuple[Trial, ...]:
    """What the report is to cover: the suite's trials; a rehearsal comes beside the full ones, not in their place."""
    if plan.trials[0].limit is None:
        return plan.trials
    full = tuple(trial for trial in results.read_plan(plan.folder) if trial.limit is None)
    return (*full, *plan.trials)


def _run_trial(plan: Plan, trial: Trial, *, device: str, threads: int, watcher: Watcher) -> Ending:
    folder = plan.folder.trial(trial.trial_id)
    if folder.record.exists():  # there, but unreadable: kept aside for a person to look at
        folder.record.rename(folder.record.with_suffix(f".unreadable-{len(folder.attempts())}.json"))
    attempt = folder.next_attempt()
    assignment = record.Assignment(
        trial=trial,
        number=attempt.number,
        device=device,
        threads=threads,
        import_folder=str(plan.suite.path.resolve().parent),
    )
    watcher.start(trial, attempt.log)
    ending = supervise.run_attempt(assignment, attempt, on_event=watcher.event)
    watcher.end(trial, ending)
    return ending


def _fingerprints(suite: Suite) -> dict[str, str]:
    """The fingerprint of each dataset; what is wrong with any of them, together."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for name, dataset in suite.datasets:
        try:
            found[name] = splits.fingerprint(dataset)
        except DataError as error:
            problems += [f"{suite.path}: datasets.{name}: {line}" for line in str(error).splitlines()]
    if problems:
        raise SuiteError(tuple(problems))
    return found
