"""What a preflight, a trial and a measurement share: the data opened, the detector built, the device set up."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError, WeightsError
from harness.store.events import StageEvent, WaitingEvent
from harness.store.record import MeasurementWarning
from harness.trial import environment
from harness.trial.benchmark import Benchmark
from harness.trial.deploy import eager
from harness.trial.deploy.base import Weights
from harness.trial.device_lock import DeviceLock, name_of
from harness.trial.inputs import shared_memory
from harness.trial.inputs.balance import repeat_factors
from harness.trial.inputs.dataset import OpenedDataset, check_code, open_dataset
from harness.trial.inputs.image_cache import open_caches
from harness.trial.inputs.loader import EpochBatches, TrainingSet, batch_bytes
from harness.trial.measure import memory
from harness.trial.models import checkpoint, trainable
from harness.trial.models.registry import family_of, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from harness.store.job import Job
    from harness.store.paths import ResultFolder
    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import Hyperparameters
    from harness.suite.trial import Trial
    from harness.trial.deploy.base import Deployment
    from harness.trial.events import EventWriter
    from harness.trial.inputs.image_cache import ImageCache
    from harness.trial.inputs.item import Items
    from harness.trial.models.base import Detector, Head

_MOST_WORKERS = 16  # by themselves; each takes memory, and a GPU that needs more is rare

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """All that a trial needs before its first step.

    `hyperparameters` are the trial's, as this attempt may use them; `warnings` are about how it is set up; `lock` holds
    the device.
    """

    trial: Trial
    hyperparameters: Hyperparameters
    device: torch.device
    threads: int
    workers: int
    data: OpenedDataset
    row: Architecture
    detector: Detector
    head: Head
    warnings: tuple[MeasurementWarning, ...] = ()
    lock: DeviceLock = field(default_factory=partial(DeviceLock, None))

    @property
    def model(self) -> nn.Module:
        """The detector's network."""
        return self.detector.module

    @property
    def report_on(self) -> str:
        """The name of the split that accuracy and speed are reported on: the last one, test where there is one.

        A trial of a search is one of those that values are chosen by, which nobody does on test.
        """
        return list(self.data.splits)[-1] if self.trial.search is None else "val"

    @property
    def evaluated(self) -> Items:
        """The images of that split."""
        return self.data.splits[self.report_on]

    def batches(self, batch_size: int | None = None) -> EpochBatches:
        """Which images form each training batch, in order, by the seed; `batch_size` asks of another size.

        Raises:
            DataError: classes cannot be balanced, or images be grouped: labels and sizes are known when they are read.
        """
        h, train = self.hyperparameters, self.data.splits["train"]
        repeats = None
        if h.class_balance == "repeat_factor":
            if train.annotations is None:
                raise DataError("class_balance: repeat_factor needs labels that are known before images are read")
            repeats = repeat_factors(train.annotations, h.repeat_threshold)
            if repeats.max() == 1:
                log.warning(
                    "class_balance changes nothing: each class is in a fraction of the images above %g, the "
                    "repeat_threshold",
                    h.repeat_threshold,
                )
        total = h.budget.images if h.budget is not None else None
        wide = None
        if h.group_by_orientation:
            if train.annotations is None:
                raise DataError("group_by_orientation needs sizes that are known before images are read")
            sizes = train.annotations.sizes
            wide = sizes[:, 0] >= sizes[:, 1]
        return EpochBatches(len(train), batch_size or h.batch_size, self.trial.seed, repeats, total, wide)

    def training_set(self) -> TrainingSet:
        """The augmented training images."""
        return TrainingSet(self.data.splits["train"], self.hyperparameters.augmentation, self.trial.seed)

    def deployed(self) -> Deployment:
        """The detector as it is now, at the precision of its training; its module is put in evaluation mode."""
        precision = self.hyperparameters.precision
        return eager.eager(self.detector, device=self.device, precision=precision)

    def weights(self, file: Path) -> Weights:
        """The fine-tuned weights in a file, as variants are built from them."""
        return Weights(
            checkpoint=file,
            row=self.row,
            precision=self.hyperparameters.precision,
            tf32=self.trial.protocol.tf32,
            device=self.device,
            threads=self.threads,
            calibration=self.data.splits["train"],
        )

    def benchmark(self, folder: ResultFolder, events: EventWriter, check: Callable[[], None]) -> Benchmark:
        """A benchmark on the split that is reported on; its files go to `folder`."""
        return Benchmark(
            split=self.report_on,
            items=self.evaluated,
            protocol=self.trial.protocol,
            device=self.device,
            workers=self.workers,
            folder=folder,
            events=events,
            check=check,
            lock=self.lock,
        )


def build_context(job: Job, events: EventWriter, asked: Callable[[], bool] | None = None) -> TrialContext:
    """Open the data, build the detector and set up the device.

    Args:
        asked: tells whether this process was asked to stop, so that it waits for no device; None: it waits for none
            anyway, and nobody waits for it.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: the device is not there.
    """
    trial = job.trial
    h, choice = trial.hyperparameters, trial.architecture
    device = environment.choose_device(job.device)
    environment.prepare(device, trial.protocol, threads=job.threads, seed=trial.seed, gpu_processes=job.gpu_processes)
    lock = DeviceLock(None if asked is None else name_of(device), partial(_wait, events, asked))
    lock.share()
    events.emit(StageEvent(stage="data", device=str(device)))
    check_code(trial.dataset, import_folder=Path(job.import_folder))
    row = row_of(choice, Path(job.import_folder))
    data = open_dataset(
        trial.dataset,
        max_images=trial.max_images,
        import_folder=Path(job.import_folder),
        with_masks=row.needs_masks and job.weights is None,  # fine-tuned weights are measured by their boxes
        caches=partial(_caches, job),
        headers=None if job.headers is None else Path(job.headers),
    )
    events.emit(StageEvent(stage="model"))
    class_names = data.splits["train"].class_names
    head: Head = "kept"
    if job.weights is not None:
        detector = _fine_tuned(Path(job.weights), row, class_names)
    else:
        detector, head = family_of(row).build(
            row,
            weights=choice.weights,
            classes=len(class_names),
            image_size=choice.image_size,
            options=choice.model,
        )
        if choice.weights_sha256 is not None and Path(choice.weights).is_file():
            checkpoint.thaw_as_saved(Path(choice.weights), detector)
        trainable.apply(detector, trainable_layers=h.trainable_layers, batch_norm=h.batch_norm)
    detector.module.to(device)
    workers, warnings = _loader_workers(h, device, job, data, row)
    return TrialContext(
        trial=trial,
        hyperparameters=replace(h, accumulate=job.accumulate or h.accumulate),
        device=device,
        threads=job.threads,
        workers=workers,
        data=data,
        row=row,
        detector=detector,
        head=head,
        warnings=(*warnings, *_random_stages(trial)),
        lock=lock,
    )


def _wait(events: EventWriter, asked: Callable[[], bool] | None) -> bool:
    """Tell the runner that this process waits, and return whether to wait no longer."""
    events.progress(WaitingEvent())
    return asked is not None and asked()


def _caches(job: Job, sizes: Mapping[str, NDArray[np.int32]]) -> dict[str, ImageCache]:
    """The caches of decoded images that a job may use; a race's, and one of an older version, none."""
    if job.cache_folder is None:
        return {}
    return open_caches(
        job.cache,
        Path(job.cache_folder),
        job.trial.dataset.fingerprint,
        sizes,
        free_memory=memory.available_bytes(),
        reserved=job.reserved_bytes,
    )


def _random_stages(trial: Trial) -> tuple[MeasurementWarning, ...]:
    """A warning where stages of the backbone stay as they were drawn."""
    layers = trial.hyperparameters.trainable_layers
    if trial.architecture.weights != "none" or not isinstance(layers, int):
        return ()
    reason = (
        f"trainable_layers: {layers} fixes the stages of the backbone before these, and with weights: none they hold "
        "random numbers for good"
    )
    log.warning("%s", reason)
    return (MeasurementWarning(name="random_stages", reason=reason),)


def _fine_tuned(file: Path, row: Architecture, class_names: tuple[str, ...]) -> Detector:
    """The fine-tuned detector in `file`.

    Raises:
        WeightsError: it cannot be loaded, or is for other classes than the images'.
    """
    detector, detected = checkpoint.load_detector(file, row)
    if detected != class_names:
        raise WeightsError(
            f"{file}: detects {', '.join(detected)}, but the images are labelled {', '.join(class_names)}; give the "
            "data that it was trained on"
        )
    return detector


def _loader_workers(
    h: Hyperparameters, device: torch.device, job: Job, data: OpenedDataset, row: Architecture
) -> tuple[int, tuple[MeasurementWarning, ...]]:
    """The number of processes that read images, and a warning where shared memory has room for fewer than wanted.

    `auto` means one less than the cores beside a GPU, and none on a CPU, where they would take the cores that train.
    """
    automatic = min(_MOST_WORKERS, max(0, job.threads - 1)) if device.type == "cuda" else 0
    wanted = automatic if h.loader_workers == "auto" else h.loader_workers
    if not wanted or job.race is not None:  # a race reads its images in its own process
        return wanted, ()
    name, batch_size = ("train", h.batch_size) if job.weights is None else (list(data.splits)[-1], 1)
    n_bytes = batch_bytes(data.splits[name], batch_size, with_masks=row.needs_masks and job.weights is None)
    workers = shared_memory.workers_that_fit(wanted, n_bytes)
    if workers == wanted:
        return wanted, ()
    reason = shared_memory.shortage(wanted, workers, n_bytes)
    log.warning("%s", reason)
    return workers, (MeasurementWarning(name="fewer_workers", reason=reason),)
