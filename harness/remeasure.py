"""Measure fine-tuned weights again, without training: a trial's, or those of any checkpoint on images of a suite.

Owns what is measured with which images and where that goes: `measurements/<n>/` beside the weights, a record of its
own, so that the trial's stays what it was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.validate import validate_datasets
from harness.errors import UsageError
from harness.executors import environment
from harness.executors.supervise import Supervisor
from harness.processes.child import run_module
from harness.processes.watch import Timeouts
from harness.store import files, links, lock, paths, record
from harness.store.job import Job
from harness.store.paths import SuiteFolder
from harness.store.results import find_trial, last_job, read_record_of_weights
from harness.suite import recipe
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.expand import plan_trials
from harness.suite.load import Setting, load_suite
from harness.suite.schema import ImageSize, at_level
from harness.suite.trial import TrialArchitecture

if TYPE_CHECKING:
    from harness.executors.base import Executor
    from harness.processes.watch import OnEvent
    from harness.store.paths import AttemptFolder, ResultFolder, TrialFolder
    from harness.store.record import Record
    from harness.suite.catalog.architecture import Architecture
    from harness.suite.catalog.registry import OwnArchitecture
    from harness.suite.load import Suite
    from harness.suite.schema import Level, Precision, Protocol, VariantName
    from harness.suite.trial import Trial

_LOCK = "measurements.lock"
_HANG_S = 15 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Weights, and the images to measure them on.

    Attributes:
        trial: what names the images and the protocol.
        folder: the measurement goes to `measurements/<n>` in it.
        lock: the suite's, or one beside the weights: two measurements at once disturb each other.
        import_folder: of the suite file, for a user's own Dataset.
        recorded: what the trial's own record said, and the folder of its samples.
    """

    trial: Trial
    weights: Path
    folder: Path
    lock: Path
    import_folder: str
    recorded: tuple[Record, ResultFolder] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a measurement of fine-tuned weights came to.

    Attributes:
        record: the numbers; None if the measurement failed.
        reason: why it failed; None if it did not.
        folder: where its files are: `folder.log`, `folder.result.record`, `folder.result.samples`.
        recorded: the trial's own record and the folder of its files; None for weights that belong to no trial.
    """

    record: Record | None
    reason: str | None
    folder: AttemptFolder
    recorded: tuple[Record, ResultFolder] | None = None

    def latency_ratio(self) -> float | None:
        """The median latency divided by that of the trial's own record; None if there is no such record.

        Each is of one process: by how much two processes of the same weights differ, only a race can tell.
        """
        if self.record is None or self.recorded is None:
            return None
        now, before = (one.measurements.latency_s.median for one in (self.record, self.recorded[0]))
        return now / before

    def environment_differences(self) -> tuple[str, ...]:
        """In what this environment differs from that of the trial's own record."""
        from harness.analysis import environments

        if self.record is None or self.recorded is None:
            return ()
        return environments.differences((self.recorded[0].environment, self.record.environment))


def find_target(target: str | Path, results: Path, *, suite: Path | None, dataset: str | None) -> Target:
    """Find the weights that a person means, and the images to measure them on.

    Args:
        target: a file of weights, or the id of a trial; the start of the id is enough.
        results: the folder in which a trial is looked for.
        suite: the suite file that says where the images are, for weights that belong to no trial.
        dataset: which dataset of `suite`, if it has several.

    Raises:
        UsageError: there is no such trial, it has no weights, or it is not clear which images are meant.
        SuiteError: the suite or its data are wrong.
    """
    path = Path(target)
    if dataset is not None and suite is None:
        raise UsageError(f"--dataset {dataset}: names a dataset of a suite; give --suite as well")
    if not path.is_file():
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is a pipe or a device; give a file of weights, or the id of a trial")
        if suite is not None:
            raise UsageError(f"{target}: is no file; --suite is for a checkpoint that belongs to no trial")
        folder, state = find_trial(str(target), results)
        if state.record is None:
            raise UsageError(f"{state.trial.trial_id}: has no record, so no finished weights; `harness run` makes them")
        return trained(folder.trial(state.trial.trial_id), state.record)
    if suite is not None:
        return checkpoint(path, suite, dataset)
    found = read_record_of_weights(path)
    if found is None:
        raise UsageError(f"{path}: belongs to no trial; name the images to measure on with --suite FILE")
    return trained(*found)


def trained(folder: TrialFolder, found: Record) -> Target:
    """The weights that a trial left, in results/<suite>/trials/<trial_id>.

    Raises:
        UsageError: they are gone.
    """
    weights = folder.path / found.model.checkpoint
    if not weights.is_file():
        raise UsageError(f"{weights}: is not there any more; without its weights a trial can only be run again")
    job = last_job(folder)
    return Target(
        trial=found.trial,
        weights=weights,
        folder=folder.path,
        lock=SuiteFolder(folder.path.parents[1]).lock,
        import_folder=job.import_folder if job is not None else str(folder.path),
        recorded=(found, folder),
    )


def checkpoint(weights: Path, suite_path: Path, dataset: str | None) -> Target:
    """Any checkpoint, on the images of a suite's dataset.

    Raises:
        UsageError: it is none of ours, or it is not clear which dataset is meant.
        SuiteError: the suite or its data are wrong.
    """
    header = _header(weights)
    suite = load_suite(suite_path)
    names = [name for name, _ in suite.datasets]
    if dataset is None and len(names) > 1:
        raise UsageError(f"{suite_path} has the datasets {', '.join(names)}: name one with --dataset")
    if dataset is not None and dataset not in names:
        raise UsageError(f"--dataset {dataset}: {suite_path} has {', '.join(names)}")
    chosen = dataset or names[0]
    row, own = _row(header["architecture"], weights, suite)
    low, high = header["image_size"]
    architecture = TrialArchitecture(
        name=header["architecture"],
        own=own,
        weights=str(weights.resolve()),
        weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        image_size=ImageSize(min=low, max=high),
        model=header["model"],
    )
    # Of these only the precision counts, without training: the suite's, as weights do not tell theirs.
    precision = suite.settings[0].hyperparameters.precision
    plain = recipe.resolve(row, {"precision": precision})
    alone = replace(
        suite,
        datasets=tuple((name, source) for name, source in suite.datasets if name == chosen),
        settings=(Setting(architecture=architecture, row=row, hyperparameters=plain, configured={}, swept=()),),
        seeds=(0,),
    )
    fingerprints, _ = validate_datasets(alone, workers=environment.available_cores(), progress=lambda _done, _all: None)
    return Target(
        trial=plan_trials(alone, fingerprints, max_images=None)[0],
        weights=weights.resolve(),
        folder=weights.resolve().parent,
        lock=weights.resolve().parent / _LOCK,
        import_folder=str(suite_path.resolve().parent),
    )


def adjusted(
    target: Target,
    *,
    level: Level | None,
    variants: tuple[VariantName, ...] | None,
    precision: Precision | None,
) -> Target:
    """With another protocol level, other variants, another precision than the trial's own."""
    protocol: Protocol = target.trial.protocol
    if level is not None:
        protocol = at_level(level, protocol)
    if variants is not None:
        protocol = replace(protocol, variants=variants)
    h = target.trial.hyperparameters
    h = replace(h, precision=precision) if precision is not None else h
    return replace(target, trial=replace(target.trial, protocol=protocol, hyperparameters=h))


def elsewhere(target: Target, folder: Path) -> Target:
    """The same, but what is found goes into `folder`: weights may lie where nothing can be written.

    Raises:
        UsageError: it cannot be created.
    """
    files.make_folder(folder)
    return replace(target, folder=folder, lock=folder / _LOCK)


def measure(target: Target, *, device: str, on_event: OnEvent, executor: Executor) -> Measurement:
    """Evaluate and measure where the executor runs it.

    Args:
        on_event: called with each event of the measurement.

    Raises:
        LockedError: a run, or another measurement, works there.
        MachineError: the device is not there, the disk is full.
        Interrupted: a signal came.
    """
    written = target.folder / paths.MEASUREMENTS
    with lock.locked(target.lock) as held:
        files.sweep(written)
        links.refuse_links_out(target.folder, (written,))
        return _measure(target, device, on_event, Supervisor(executor=executor, check=held.keep))


def _measure(target: Target, device: str, on_event: OnEvent, supervisor: Supervisor) -> Measurement:
    folder = paths.next_measurement(target.folder)
    job = Job(
        trial=target.trial,
        number=folder.number,
        device=device,
        threads=environment.available_cores(),
        import_folder=target.import_folder,
        weights=str(target.weights),
    )
    result = supervisor.run(job, folder, Timeouts(hang_s=_HANG_S, total_s=None), on_event=on_event)
    path = folder.result.record
    if not result.recorded:
        reason = result.attempt.reason or result.attempt.outcome
        return Measurement(record=None, reason=reason, folder=folder, recorded=target.recorded)
    new = record.decode(record.RECORD, path.read_bytes(), str(path))
    return Measurement(record=new, reason=None, folder=folder, recorded=target.recorded)


def _row(name: str, weights: Path, suite: Suite) -> tuple[Architecture, OwnArchitecture | None]:
    """The row of the weights' architecture: a built-in one, or one of the user's that the suite names.

    Weights from elsewhere must not decide which of the user's code is run; a suite may.
    """
    if name in BUILT_IN:
        return BUILT_IN[name], None
    for setting in suite.settings:
        if setting.row.name == name:
            return setting.row, setting.architecture.own
    raise UsageError(
        f"{weights}: is a {name}, which does not come with the harness; name it under architectures in {suite.path}"
    )


def _header(weights: Path) -> dict[str, Any]:
    """Read what a checkpoint says of its detector, in a process that may import torch.

    Raises:
        UsageError: it is no checkpoint of ours.
    """
    variables = environment.child_environment(1)
    done = run_module("harness.trial.models.inspect", str(weights), environment=variables, capture=True)
    if done.exit_code:
        raise UsageError((done.errors.strip().splitlines() or [f"{weights}: cannot be read"])[-1])
    header: dict[str, Any] = json.loads(done.output)
    return header
