"""What a rehearsal, a trial and a measurement share: the data opened, the model built, the device set up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import WeightsError
from harness.store.events import StageEvent
from harness.trial import environment
from harness.trial.benchmark import Benchmark
from harness.trial.deploy import eager
from harness.trial.inputs.dataset import Opened, open_dataset
from harness.trial.inputs.loader import EpochBatches, TrainingSet
from harness.trial.models import checkpoint
from harness.trial.models.torchvision import build

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from harness.store.job import Job
    from harness.store.paths import ResultFolder
    from harness.suite.schema import Hyperparameters
    from harness.suite.trial import Trial
    from harness.trial.deploy.base import Deployment
    from harness.trial.events import EventWriter
    from harness.trial.inputs.item import Items


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """All that a trial needs before its first step. `hyperparameters` are the trial's, as this attempt may use them."""

    trial: Trial
    hyperparameters: Hyperparameters
    device: torch.device
    threads: int
    workers: int
    data: Opened
    model: nn.Module
    head: Any

    @property
    def report_on(self) -> str:
        """The split that accuracy and speed are reported on."""
        return list(self.data.splits)[-1]

    @property
    def evaluated(self) -> Items:
        """Its images."""
        return self.data.splits[self.report_on]

    def batches(self) -> EpochBatches:
        """The order of training."""
        h = self.hyperparameters
        return EpochBatches(len(self.data.splits["train"]), h.batch_size, self.trial.seed)

    def training_set(self) -> TrainingSet:
        """Augmented training images."""
        return TrainingSet(self.data.splits["train"], self.hyperparameters.augmentation, self.trial.seed)

    def deployed(self) -> Deployment:
        """The model as it stands, run as it is trained."""
        precision = self.hyperparameters.precision
        return eager.eager(self.model, self.trial.architecture.name, device=self.device, precision=precision)

    def benchmark(self, folder: ResultFolder, events: EventWriter, check: Callable[[], None]) -> Benchmark:
        """Of the split that is reported on."""
        return Benchmark(
            split=self.report_on,
            items=self.evaluated,
            protocol=self.trial.protocol,
            device=self.device,
            workers=self.workers,
            folder=folder,
            events=events,
            check=check,
        )


def build_context(job: Job, events: EventWriter) -> TrialContext:
    """Open the data and build the model.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: the device is not there.
    """
    trial = job.trial
    h, choice = trial.hyperparameters, trial.architecture
    device = environment.choose_device(job.device)
    environment.prepare(device, trial.protocol, threads=job.threads, seed=trial.seed)
    events.emit(StageEvent(stage="data", device=str(device)))
    data = open_dataset(trial.dataset, limit=trial.limit, import_folder=Path(job.import_folder))
    events.emit(StageEvent(stage="model"))
    model: nn.Module
    head: Any
    if job.weights is not None:
        model, head = _given(Path(job.weights), data.splits["train"].class_names), "kept"
    else:
        model, head = build.build(
            choice.name,
            weights=choice.weights,
            classes=len(data.splits["train"].class_names),
            image_size=choice.image_size,
            options=choice.model,
        )
    model.to(device)
    return TrialContext(
        trial=trial,
        hyperparameters=replace(h, accumulate=job.accumulate or h.accumulate),
        device=device,
        threads=job.threads,
        workers=_loader_workers(h.loader_workers, device, job.threads),
        data=data,
        model=model,
        head=head,
    )


def _given(file: Path, class_names: tuple[str, ...]) -> nn.Module:
    """The fine-tuned detector in `file`.

    Raises:
        WeightsError: it cannot be loaded, or is for other classes than the images'.
    """
    model, theirs = checkpoint.load(file)
    if theirs != class_names:
        raise WeightsError(
            f"{file}: detects {', '.join(theirs)}, but the images are labelled {', '.join(class_names)}; give the data "
            "that it was trained on"
        )
    return model


def _loader_workers(wanted: int | str, device: torch.device, threads: int) -> int:
    """`auto`: beside a GPU up to four processes decode; on the CPU they would take the cores that train."""
    if isinstance(wanted, int):
        return wanted
    return min(4, max(0, threads - 1)) if device.type == "cuda" else 0
