"""What starts from a suite file: plan it and run it.

Owns the order of a run's stages. Every stage is a function of another room that a test can call alone.
"""

from __future__ import annotations

import logging
import shutil
import socket
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.arguments import (
    check_deadline,
    check_device,
    check_number,
    check_observers,
    check_slots,
    executor_of,
    no_progress,
)
from harness.api.device import all_devices
from harness.api.races import RaceRequest, RaceSummary, RaceTrack, run_races
from harness.api.results import report, report_between_trials
from harness.data.validate import validate_datasets
from harness.errors import HarnessError, Interrupted, UsageError
from harness.executors.environment import available_cores
from harness.executors.slots import Slot, divide
from harness.executors.supervise import Supervisor
from harness.scheduling.observer import Observers
from harness.scheduling.plan import Plan, is_selected, older_code_remarks, refresh, used_devices
from harness.scheduling.race_forecast import forecast_races, rows_that_may_race
from harness.scheduling.scheduler import Executed, Scheduler
from harness.store import files, links, lock
from harness.store.paths import RACES, SuiteFolder
from harness.store.race import MIN_ENTRANTS
from harness.store.results import SuitePlan, encode_plan, read_plan
from harness.suite.deployment import VARIANTS
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.suite.tuning import make_chains
from harness.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from harness.executors.base import Executor
    from harness.scheduling.observer import RunObserver
    from harness.suite.trial import Trial

log = logging.getLogger(__name__)

# What `plan` alone can be asked for, with its defaults.
_PLANNING: dict[str, Any] = {
    "select": None,
    "max_images": None,
    "device": "auto",
    "devices": None,
    "trials_per_device": 1,
    "cpu_slots": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run ended.

    Attributes:
        report: the path of the report.
        succeeded: how many of the selected trials have a record now.
        failed: how many trials failed; `given_up` of them failed in an earlier run and were not tried again.
        skipped_for_time: the ids of the trials that were not started because they would not have ended in time.
        not_started: how many trials were left out because the run stopped at a failure.
        races: what became of the race of each dataset whose trials are done.
    """

    report: Path
    succeeded: int
    failed: int
    given_up: int
    skipped_for_time: tuple[str, ...]
    not_started: int
    races: tuple[RaceSummary, ...] = ()


def plan(  # noqa: PLR0913 - what a plan can be asked for
    suite: str | Path,
    *,
    results: str | Path = "results",
    select: str | None = None,
    max_images: int | None = None,
    device: str = "auto",
    devices: Sequence[str] | None = None,
    trials_per_device: int = 1,
    cpu_slots: int = 1,
    executor: Executor | str = "local",
    progress: Callable[[int, int], None] = no_progress,
) -> Plan:
    """Load a suite, check the file and its data, and see which of its trials are done. Nothing is started or written.

    Args:
        suite: the suite file.
        results: the folder that holds `<suite>/`.
        select: a glob; only the trials whose id matches are selected.
        max_images: only the first images of each split, which makes subset trials; None: all images.
        device: where the trials are to run: auto, cpu, cuda or cuda:N. A preflight on another device does not count.
            `auto` is every GPU that is visible, with a trial on each at once, or the CPU where there is none.
        devices: the GPUs that trials are to run on at the same time, such as `("cuda:0", "cuda:2")`; None: `device`.
        trials_per_device: how many trials run on each GPU at once.
        cpu_slots: how many trials run on the CPU at once, where they run on the CPU.
        executor: where attempts are to run, as for `run`: of a cluster, it knows the slots.
        progress: called with how many images were checked, and of how many.

    Raises:
        SuiteError: the file or the data that it names is wrong; the error holds every problem.
        UsageError: an argument is wrong, or `select` matches no trial.
    """
    check_device(device)
    check_slots(device, devices, trials_per_device, cpu_slots)
    check_number("max_images", max_images, whole=True, minimum=1)
    loaded = load_suite(Path(suite))
    fingerprints, remarks = validate_datasets(loaded, workers=available_cores(), progress=progress)
    trials = plan_trials(loaded, fingerprints, max_images=max_images)
    remarks += tuple(
        f"the rows of the variant {name} will say: {missing}"
        for name in loaded.protocol.variants
        if name in VARIANTS and (missing := VARIANTS[name].missing())
    )
    folder = SuiteFolder(Path(results) / loaded.name)
    planned = Plan(
        suite=loaded,
        folder=folder,
        trials=trials,
        selected=tuple(trial for trial in trials if is_selected(trial, select)),
        where="",
        device=device,
        remarks=(*remarks, *older_code_remarks(loaded, fingerprints, trials, folder)),
        chains=make_chains(loaded, trials),
        select=select,
    )
    runner = executor_of(executor)
    slots_of = getattr(runner, "slots", None)
    if slots_of is not None:
        if devices is not None or trials_per_device > 1:
            raise UsageError(
                f"--devices, --trials-per-device: {type(runner).__name__} places trials itself; leave them out"
            )
        slots = slots_of(device, cpu_slots)
    else:
        if devices is None:
            used = (
                used_devices(folder, refresh(planned).trials if planned.chains else trials) if device == "auto" else ()
            )
            devices = all_devices(device, used)[: 1 if getattr(runner, "one_at_a_time", False) else None]
        slots = _slots(devices, trials_per_device, cpu_slots)
    where = (
        f"{socket.gethostname()}, {slots[0].device}, {slots[0].threads} threads, torch {version('torch')}, "
        f"torchvision {version('torchvision')}, harness {__version__}"
    )
    planned = refresh(replace(planned, device=slots[0].device, slots=slots, where=where))
    if not planned.selected:
        ids = "\n".join(f"  {trial.trial_id}" for trial in planned.trials)
        raise UsageError(f"--select {select}: matches none of the suite's trials:\n{ids}")
    return planned


def _slots(devices: Sequence[str], trials_per_device: int, cpu_slots: int) -> tuple[Slot, ...]:
    """Return where trials run at the same time.

    Raises:
        UsageError: what is asked for belongs to the other kind of device.
    """
    on_cpu = devices[0] == "cpu"
    if on_cpu and trials_per_device > 1:
        raise UsageError("--trials-per-device: the trials run on the CPU; give --cpu-slots")
    if not on_cpu and cpu_slots > 1:
        raise UsageError(
            f"--cpu-slots: the trials run on {', '.join(devices)}; give --trials-per-device, or --device cpu"
        )
    return divide(devices, per_device=cpu_slots if on_cpu else trials_per_device, cores=available_cores())


def results_folder_remarks(plan: Plan) -> tuple[str, ...]:
    """Say what is special about the file system that the results of a plan will lie on; a file is tried there."""
    folder = files.existing(plan.folder.path)
    try:
        if links.has_hard_links(folder):
            return ()
    except OSError as error:
        return (f"{folder}: results cannot be written there: {error.strerror}",)
    return (f"{folder}: has no hard links; records are committed there by an exclusive rename instead, as safely",)


def run(  # noqa: PLR0913 - what a run can be asked for
    suite: str | Path | Plan,
    *,
    results: str | Path = "results",
    select: str | None = None,
    max_images: int | None = None,
    device: str = "auto",
    devices: Sequence[str] | None = None,
    trials_per_device: int = 1,
    cpu_slots: int = 1,
    preflight: bool = True,
    retry_failed: bool = False,
    fail_fast: bool = False,
    race: bool = True,
    until: datetime | None = None,
    observers: Sequence[RunObserver] = (),
    executor: Executor | str = "local",
) -> RunSummary:
    """Run every selected trial that has no record yet; the report is rewritten after each one.

    Args:
        suite: the suite file, or what `plan` returned for it.
        results: as for `plan`; a plan has its own, as it has its own `select`, `max_images` and `device`.
        select: as for `plan`.
        max_images: as for `plan`.
        device: as for `plan`.
        devices: as for `plan`.
        trials_per_device: as for `plan`.
        cpu_slots: as for `plan`.
        preflight: whether one step of each configuration is tried before the first trial.
        retry_failed: also run the trials that failed for a reason of their own.
        fail_fast: stop at the first failure.
        race: whether the rows of each dataset are timed against each other once its trials are done.
        until: start no trial, and no block of a race, that would not be done by then; a time without a zone is local.
        observers: follow the run, such as `harness.observers.plain.PlainView`; one that raises is left out afterwards.
        executor: where attempts run: `local`, `inline` (in this process, for debugging), `module:Class`, or an object.

    Raises:
        SuiteError: the suite file or its data is wrong.
        UsageError: an argument is wrong, or the results folder cannot be written.
        LockedError: another run writes to the same results.
        MachineError: the disk or the device stopped the run; finished trials keep their records.
        RepeatedError: one trial after another failed in the same way.
        KeyboardInterrupt: a signal came. The running trial has left a checkpoint, and the report is written. The
            commands handle SIGTERM and SIGHUP likewise; a program of your own installs its handlers for them itself.
    """
    check_deadline(until)
    check_observers(observers)
    runner = executor_of(executor)
    plan = _plan_of(
        suite,
        results=results,
        select=select,
        max_images=max_images,
        device=device,
        devices=devices,
        trials_per_device=trials_per_device,
        cpu_slots=cpu_slots,
        executor=runner,
    )
    if len(plan.slots) > 1 and getattr(runner, "one_at_a_time", False):
        raise UsageError(
            f"the executor {type(runner).__name__} runs one trial at a time, and {len(plan.slots)} are asked for"
        )
    observer = Observers(observers)
    deadline = until.astimezone() if until else None
    files.make_folder(plan.folder.path)
    with lock.locked(plan.folder.lock) as held:
        supervisor = Supervisor(executor=runner, check=held.keep)
        _sweep(plan, runner)
        plan = refresh(plan)  # another run may just have ended
        given_up = () if retry_failed else plan.given_up
        plan = replace(plan, failed={}) if retry_failed else plan
        _refuse_links_out(plan)
        files.replace(plan.folder.plan, encode_plan(_suite_plan(plan)))
        _write_report_between(plan.folder, complete=False)
        scheduler = Scheduler(
            plan=plan,
            supervisor=supervisor,
            observer=observer,
            fail_fast=fail_fast,
            report=lambda now: _after_trial(now, observer),
        )
        try:
            observer.begin(plan)
            stop = False
            if preflight and (plan.trials[0].max_images is None or until is not None):
                plan, any_failed = scheduler.preflight()
                stop = any_failed and fail_fast
            forecast = forecast_races(plan) if race else None
            if forecast is not None:
                observer.expect_race(forecast)
            observer.expect_stages(plan.expected_stages())
            executed = Executed(not_tried=plan.pending) if stop else replace(scheduler, plan=plan).execute(deadline)
            track = RaceTrack(
                folder=plan.folder, device=plan.device, supervisor=supervisor, observer=observer, until=deadline
            )
            if executed.not_tried or executed.skipped_for_time:  # the last trial was not the last one planned
                _write_report_between(plan.folder, complete=True)
            races = _race(refresh(plan), track) if race and not executed.not_tried else ()
        except Interrupted as interrupt:
            if not interrupt.again:
                _write_last_report(plan.folder)
            raise
        except BaseException:
            _write_last_report(plan.folder)
            raise
        finally:
            shutil.rmtree(plan.folder.decoded_images, ignore_errors=True)
            observer.close()
    plan = refresh(plan)
    # One that was ended because another failed may have been about to commit.
    not_tried = [trial for trial in executed.not_tried if trial.trial_id not in plan.records]
    succeeded = sum(trial.trial_id in plan.records for trial in plan.selected)
    return RunSummary(
        report=plan.folder.report,
        succeeded=succeeded,
        failed=len(plan.selected) - succeeded - len(executed.skipped_for_time) - len(not_tried),
        given_up=len(given_up),
        skipped_for_time=executed.skipped_for_time,
        not_started=len(not_tried),
        races=races,
    )


def _sweep(plan: Plan, runner: Executor) -> None:
    """Remove what an earlier run left half written, but not where something of it may still be at work."""
    if not hasattr(runner, "find"):
        files.sweep(plan.folder.path)


def _race(plan: Plan, track: RaceTrack) -> tuple[RaceSummary, ...]:
    """Race each dataset of which no selected trial is pending, then write the report again if there was something new.

    Raises:
        MachineError: the disk or the device stopped it.
        Interrupted: a signal came.
    """
    pending = {trial.dataset.name for trial in (*plan.pending, *plan.awaiting)}
    datasets = [name for name in dict.fromkeys(t.dataset.name for t in plan.selected) if name not in pending]
    datasets = [name for name in datasets if len(rows_that_may_race(plan, name)) >= MIN_ENTRANTS]
    if not datasets:
        return ()
    try:
        summaries = run_races(track, RaceRequest(asked=False), datasets=datasets)
    except HarnessError:
        raise
    except Exception:
        log.exception("no race could be run; `harness race %s` tries again", plan.folder.path)
        return ()
    if any(summary.ran for summary in summaries):
        _write_report_between(plan.folder, complete=True)
    return summaries


def _plan_of(suite: str | Path | Plan, *, results: str | Path, **planning: Any) -> Plan:
    """The plan of a suite file; of a plan itself, if no argument contradicts it.

    Raises:
        UsageError: an argument is given that belongs to `plan`.
    """
    if not isinstance(suite, Plan):
        return plan(suite, results=results, **planning)
    planning.pop("executor")
    meant = {**_PLANNING, "device": suite.device} if planning["device"] == suite.device else _PLANNING
    names = [name for name, value in planning.items() if value != meant[name]]
    names += ["results"] if Path(results) not in {Path("results"), suite.folder.path.parent} else []
    if names:
        raise UsageError(f"{', '.join(names)}: belongs to the plan; give it to harness.plan(), or run the suite's file")
    return suite


def _suite_plan(plan: Plan) -> SuitePlan:
    """What the report is to cover: the suite's trials. Subset trials come beside the full ones, not in their place."""
    full: tuple[Trial, ...] = ()
    if plan.trials[0].max_images is not None:
        full = tuple(trial for trial in read_plan(plan.folder).trials if trial.max_images is None)
    return SuitePlan(
        suite_file=str(plan.suite.path), trials=(*full, *plan.trials), cost=plan.suite.cost, search=plan.suite.search
    )


def _refuse_links_out(plan: Plan) -> None:
    """Refuse to write through a link that leads out of the results folder.

    Raises:
        UsageError: there is one.
    """
    written = (plan.folder.path / RACES, *(plan.folder.trial(trial.trial_id).path for trial in plan.pending))
    links.refuse_links_out(plan.folder.path, written)


def _after_trial(plan: Plan, observer: Observers) -> None:
    """Write the report, and tell what is expected of the trials that are left, now that another one has run."""
    if plan.chains:  # it may have made others known
        _refuse_links_out(plan)
        files.replace(plan.folder.plan, encode_plan(_suite_plan(plan)))
    now = refresh(plan)
    _write_report_between(plan.folder, complete=not now.pending and not now.awaiting)
    observer.expect_stages(now.expected_stages())


def _write_report_between(folder: SuiteFolder, *, complete: bool) -> None:
    """Write the report between two trials. An error in the report must not cost the trials that are left.

    Args:
        complete: whether all detections are analysed, however many there are.

    Raises:
        MachineError: the disk is full or failing, which the trials would run into as well.
        UsageError: the folder cannot be written.
    """
    try:
        if complete:
            report(folder.path)
        else:
            report_between_trials(folder)
    except HarnessError:
        raise
    except Exception:
        log.exception(
            "the report could not be written; the run goes on, and `harness report %s` tries again", folder.path
        )


def _write_last_report(folder: SuiteFolder) -> None:
    """Write the report as the run leaves it, if that is still possible: the error that ended the run matters more."""
    try:
        report(folder.path)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stand in the place of what ended the run
        log.warning("the report could not be written: %s", error)
