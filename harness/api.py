"""The whole program as a story: load the suite, plan its trials, skip what is recorded, rehearse, execute, report.

Owns the order of things. Every stage is a function of another room that a test can call alone.
"""

from __future__ import annotations

import fnmatch
import logging
import socket
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.data.validate import validate_datasets
from harness.errors import HarnessError, Interrupted, UsageError
from harness.executors.environment import available_cores, child_environment
from harness.executors.registry import load_executor
from harness.executors.supervise import Supervisor
from harness.processes.child import run_module
from harness.scheduling.observer import Observers
from harness.scheduling.plan import Plan, refresh
from harness.scheduling.scheduler import Executed, Scheduler
from harness.store import files, lock, results
from harness.store.paths import SuiteFolder
from harness.suite.catalog.published import PublishedFile, published_files
from harness.suite.expand import plan_trials
from harness.suite.load import Suite, load_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from harness.executors.base import Executor
    from harness.scheduling.observer import RunObserver
    from harness.suite.trial import Trial

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run ended.

    Attributes:
        succeeded: selected trials that have a record now.
        failed: those that have none; `given_up` of them failed before and were not repeated.
        skipped_for_time: ids of those not started because they would not have been done in time.
        left: how many the run did not come to.
    """

    report: Path
    succeeded: int
    failed: int
    given_up: int
    skipped_for_time: tuple[str, ...]
    left: int


def make_plan(
    suite_path: Path,
    *,
    results_folder: Path,
    select: str | None,
    max_images: int | None,
    device: str,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Plan:
    """Load a suite, look at its data, and see what of its trials is done.

    Args:
        device: where trials are to run; a rehearsal elsewhere says nothing.
        progress: told how many images were looked at, of how many.

    Raises:
        SuiteError: the file or the data it names is wrong: every problem.
        UsageError: `select` matches no trial.
    """
    suite = load_suite(suite_path)
    fingerprints, remarks = validate_datasets(suite, workers=available_cores(), progress=progress)
    trials = plan_trials(suite, fingerprints, max_images=max_images)
    selected = tuple(trial for trial in trials if select is None or fnmatch.fnmatchcase(trial.trial_id, select))
    if not selected:
        known = "\n".join(f"  {trial.trial_id}" for trial in trials)
        raise UsageError(f"--select {select}: matches none of the suite's trials:\n{known}")
    if "onnxruntime" in suite.protocol.variants and not find_spec("onnxruntime"):
        remarks += (
            "the variant onnxruntime is not installed: its rows will say so; pip install 'detection-harness[onnx]'",
        )
    folder = SuiteFolder(results_folder / suite.name)
    where = (
        f"{socket.gethostname()}, {device}, {available_cores()} threads, torch {version('torch')}, "
        f"torchvision {version('torchvision')}, harness {__version__}"
    )
    return refresh(Plan(suite=suite, folder=folder, trials=trials, selected=selected, where=where, remarks=remarks))


def run(
    plan: Plan,
    *,
    device: str,
    observers: Sequence[RunObserver] = (),
    executor: Executor | str = "local",
    rehearse: bool = True,
    retry_failed: bool = False,
    fail_fast: bool = False,
    until: datetime | None = None,
) -> Summary:
    """Rehearse and execute every selected trial that is left; the report is rewritten after each.

    Args:
        observers: follow the run; one that raises is left out from then on.
        executor: where attempts run: `local`, `inline` (in this process, for debugging), `module:Class`, or an object.
        rehearse: whether a step of each configuration is tried before the first trial.
        retry_failed: also those that failed for a reason of their own.
        fail_fast: stop at the first failure.
        until: start no trial that would not be done by then.

    Raises:
        LockedError: another run writes here.
        MachineError: the disk or the device stopped the run; finished trials keep their records.
        RepeatedError: trial after trial failed in the same way.
        Interrupted: a signal came: the running attempt has left a checkpoint, and the report is written.
        UsageError: there is no such executor.
    """
    supervisor = Supervisor(executor=load_executor(executor) if isinstance(executor, str) else executor)
    observer = Observers(observers)
    files.make_folder(plan.folder.path)
    with lock.locked(plan.folder.lock):
        files.sweep(plan.folder.path)
        plan = refresh(plan)  # another run may just have ended
        given_up = () if retry_failed else plan.given_up
        plan = replace(plan, failed={}) if retry_failed else plan
        files.replace(plan.folder.plan, results.encode_plan(_asked_for(plan)))
        _write_report_between(plan.folder)
        observer.begin(plan)
        scheduler = Scheduler(
            plan=plan,
            device=device,
            threads=available_cores(),
            supervisor=supervisor,
            observer=observer,
            fail_fast=fail_fast,
            report=lambda: _write_report_between(plan.folder),
        )
        try:
            stop = False
            if rehearse and (plan.trials[0].max_images is None or until is not None):
                plan, any_failed = scheduler.preflight()
                stop = any_failed and fail_fast
            executed = Executed(not_tried=plan.pending) if stop else replace(scheduler, plan=plan).execute(until)
        except Interrupted as asked:
            if not asked.again:
                _write_last_report(plan.folder)
            raise
        except BaseException:
            _write_last_report(plan.folder)
            raise
        finally:
            observer.close()
    succeeded = sum(trial.trial_id in refresh(plan).records for trial in plan.selected)
    skipped, n_left = executed.skipped_for_time, len(executed.not_tried)
    return Summary(
        report=plan.folder.report,
        succeeded=succeeded,
        failed=len(plan.selected) - succeeded - len(skipped) - n_left,
        given_up=len(given_up),
        skipped_for_time=skipped,
        left=n_left,
    )


def write_report(
    folder: SuiteFolder,
    *,
    bootstrap: bool = True,
    baseline: str | None = None,
    exports: Mapping[str, Path | BinaryIO] | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Path:
    """Render the report of a results folder.

    Args:
        bootstrap: whether to compute what stored detections tell.
        baseline: the row that others are compared with; None: the most accurate one.
        exports: by format (`harness.report.exports.FORMATS`) the file, or the stream, that the comparison also goes to.
        progress: told how many trials' detections are examined, of how many.

    Raises:
        MachineError: it cannot be written.
        UsageError: a file cannot be written there, or there is no such baseline.
    """
    from harness.analysis.suite import analyse_suite
    from harness.report import write  # pandas and matplotlib take a second, which plan and validate need not wait for
    from harness.report.exports import FORMATS

    found = analyse_suite(folder, bootstrap=bootstrap, baseline=baseline, progress=progress)
    for name, place in (exports or {}).items():
        content = FORMATS[name](found.frame)
        if isinstance(place, Path):
            files.write_out(place, content)
        else:
            place.write(content)
    return write.write(folder, found)


def fetch(suite: Suite) -> int:
    """Download every pretrained file that the suite needs, in a process of its own; 0 if all are there now."""
    arguments = [f"{file.architecture}={file.word}" for file in wanted_weights(suite)]
    if not arguments:
        return 0
    environment = child_environment(available_cores())
    return run_module("harness.trial.models.fetch", *arguments, environment=environment).exit_code


def doctor(device: str) -> int:
    """Say whether this machine is fit to measure on, in a process of its own; 0 if it is."""
    threads = available_cores()
    return run_module("harness.trial.doctor", device, str(threads), environment=child_environment(threads)).exit_code


def wanted_weights(suite: Suite) -> tuple[PublishedFile, ...]:
    """Each published file of weights that the suite starts from."""
    return published_files((setting.row, setting.architecture) for setting in suite.settings)


def _asked_for(plan: Plan) -> results.SuitePlan:
    """What the report is to cover: the suite's trials; a rehearsal comes beside the full ones, not in their place."""
    full: tuple[Trial, ...] = ()
    if plan.trials[0].max_images is not None:
        full = tuple(trial for trial in results.read_plan(plan.folder).trials if trial.max_images is None)
    return results.SuitePlan(suite_file=str(plan.suite.path), trials=(*full, *plan.trials), cost=plan.suite.cost)


def _write_report_between(folder: SuiteFolder) -> None:
    """The report between two trials: what it stumbles over must not cost the trials that are left.

    Raises:
        MachineError: the disk is full or failing, which the trials would run into as well.
        UsageError: the folder cannot be written.
    """
    try:
        write_report(folder)
    except HarnessError:
        raise
    except Exception:
        log.exception(
            "the report could not be written; the run goes on, and `harness report %s` tries again", folder.path
        )


def _write_last_report(folder: SuiteFolder) -> None:
    """The report as the run leaves it, if that is still possible: the error that ended the run matters more."""
    try:
        write_report(folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stand in the place of what ended the run
        log.warning("the report could not be written: %s", error)
