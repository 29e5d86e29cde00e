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
from harness.data.check import add_suspicions
from harness.data.load import Loaded, load
from harness.errors import DataError, SuiteError, UsageError
from harness.execute import supervise
from harness.execute.supervise import available_cores
from harness.store import files, record, results
from harness.store.files import SuiteFolder
from harness.suite.catalog import BY_NAME
from harness.suite.load import Suite, load_suite
from harness.suite.plan import plan_trials
from harness.suite.spec import FilesDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
        remarks: what a person should know of the data: warnings, and what is skipped.
    """

    suite: Suite
    folder: SuiteFolder
    trials: tuple[Trial, ...]
    selected: tuple[Trial, ...]
    done: Mapping[str, str]
    remarks: tuple[str, ...] = ()

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


def make_plan(
    suite_path: Path,
    *,
    results_folder: Path,
    select: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Plan:
    """Load a suite, look at its data, and see which of its trials have a record.

    Args:
        progress: told how many images were looked at, of how many.

    Raises:
        SuiteError: the file or the data it names is wrong: every problem.
        UsageError: `select` matches no trial.
    """
    suite = load_suite(suite_path)
    fingerprints, remarks = _looked_at(suite, progress)
    trials = plan_trials(suite, fingerprints, limit=limit)
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
    return Plan(suite=suite, folder=folder, trials=trials, selected=selected, done=done, remarks=remarks)


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
    threads = available_cores()
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


def _looked_at(suite: Suite, progress: Callable[[int, int], None]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The fingerprint of each dataset, and its warnings in a line; what forbids to train on any of them, together."""
    fingerprints: dict[str, str] = {}
    warnings: list[str] = []
    problems: list[str] = []
    for name, dataset in suite.datasets:
        place = f"{suite.path}: datasets.{name}"
        try:
            if not isinstance(dataset, FilesDataset):
                fingerprints[name] = splits.fingerprint(dataset)
                continue
            loaded = load(dataset, depth="headers", workers=available_cores(), progress=progress)
        except DataError as error:
            problems.append(f"{place}: {error}")
            continue
        missing = [split for split in ("train", "val") if split not in loaded.parts]
        fatal = loaded.fatal(dataset.on_bad_data)
        if fatal:
            hint = "" if dataset.on_bad_data == "skip" else "\n(on_bad_data: skip leaves out what is bad and counts it)"
            problems.append(f"{place}: " + "\n".join(map(str, fatal)) + hint)
        elif missing:
            problems.append(
                f"{place}: no {' and no '.join(missing)} split, only {', '.join(loaded.parts)}; add "
                "split: {val: 0.2}, or name the splits"
            )
        else:
            fingerprints[name] = loaded.fingerprint()
            add_suspicions(loaded)
            warnings += _said(name, dataset, loaded)
    if problems:
        raise SuiteError(tuple(problems))
    return fingerprints, tuple(warnings)


def _said(name: str, dataset: FilesDataset, loaded: Loaded) -> list[str]:
    """What a person should know of data that can be trained on."""
    lines = []
    if dataset.format == "auto":
        parts = ", ".join(f"{split} {len(part.annotations):,} images" for split, part in loaded.parts.items())
        lines.append(f"data {name}: found {loaded.format}: {parts}")
    skipped = ", ".join(f"{count} {code}" for code, count in loaded.skipped().items())
    lines += [f"data {name}: skipped: {skipped}"] if skipped else []
    warned = ", ".join(f"{problem.count} {problem.code}" for problem in loaded.findings.problems("warning"))
    lines += [f"data {name}: warnings: {warned}; see `harness data check`"] if warned else []
    return lines
