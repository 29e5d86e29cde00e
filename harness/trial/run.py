"""One trial in this process: open the data, build, fine-tune (from the last checkpoint, if any), evaluate, measure.

`prepare` is what a rehearsal and the real run share; `harness.trial.rehearse` is the former, `run_trial` the latter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import WeightsError
from harness.store import files, record
from harness.trial import checkpoint, deploy, environment, measure, tables
from harness.trial.course import Course
from harness.trial.dataset import Items, Opened, open_dataset
from harness.trial.examine import Examined, Examiner
from harness.trial.loader import EpochBatches, TrainingSet
from harness.trial.models import build
from harness.trial.resume import States

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from harness.store.files import ResultFolder, TrialFolder
    from harness.suite.spec import Hyperparameters, Trial
    from harness.trial.deploy import Deployment
    from harness.trial.speaker import Speaker
    from harness.trial.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
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
        return deploy.eager(self.model, self.trial.architecture.name, device=self.device, precision=precision)

    def examiner(self, folder: ResultFolder, speaker: Speaker, check: Callable[[], None]) -> Examiner:
        """Of the split that is reported on."""
        return Examiner(
            split=self.report_on,
            items=self.evaluated,
            protocol=self.trial.protocol,
            device=self.device,
            workers=self.workers,
            folder=folder,
            speaker=speaker,
            check=check,
        )


def prepare(assignment: record.Assignment, speaker: Speaker) -> Ready:
    """Open the data and build the model.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: the device is not there.
    """
    trial = assignment.trial
    h, choice = trial.hyperparameters, trial.architecture
    device = environment.choose_device(assignment.device)
    environment.prepare(device, trial.protocol, threads=assignment.threads, seed=trial.seed)
    speaker.say("stage", stage="data", device=str(device))
    data = open_dataset(trial.dataset, limit=trial.limit, import_folder=Path(assignment.import_folder))
    speaker.say("stage", stage="model")
    model: nn.Module
    head: Any
    if assignment.weights is not None:
        model, head = _given(Path(assignment.weights), data.splits["train"].class_names), "kept"
    else:
        model, head = build.build(
            choice.name,
            weights=choice.weights,
            classes=len(data.splits["train"].class_names),
            image_size=choice.image_size,
            options=choice.model,
        )
    model.to(device)
    return Ready(
        trial=trial,
        hyperparameters=replace(h, accumulate=assignment.accumulate or h.accumulate),
        device=device,
        threads=assignment.threads,
        workers=_loader_workers(h.loader_workers, device, assignment.threads),
        data=data,
        model=model,
        head=head,
    )


def run_trial(
    assignment: record.Assignment, ready: Ready, folder: TrialFolder, speaker: Speaker, stop: Stop
) -> record.Record:
    """Fine-tune, evaluate and measure one trial; leaves weights, samples and predictions in `folder`.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: nothing can go on: the device is not there, the disk is full.
        Interrupted: it was asked to stop; a state to go on from is in `folder`.
    """
    states = States(folder=folder.checkpoints, trial_id=ready.trial.trial_id)
    course = Course(ready, states, folder, speaker, stop, checkpoint_s=assignment.checkpoint_s)
    training = course.train()
    file = folder.checkpoints / "weights.pt"
    checkpoint.save(file, ready.model, ready.trial.architecture, ready.data.splits["train"].class_names)
    found = examine_weights(ready, file, folder, speaker, stop)
    return record.Record(
        schema_version=record.SCHEMA_VERSION,
        trial=ready.trial,
        outcome="succeeded",
        metrics=found.plain.metrics,
        measurements=record.Measurements(
            **inference_fields(found.plain.inference, training=course.peak),
            train_images_per_s=training.images_per_s,
            data_wait_share=training.data_wait_share,
            training_s=training.wall_s,
            evaluation_s=found.plain.evaluation_s,
            epochs=training.epochs,
            joules=course.joules(),
        ),
        model=record.Model(
            **found.size,
            head=ready.head,
            epoch=course.weights_of_epoch,
            checkpoint=str(file.relative_to(folder.path)),
        ),
        data=record.Data(splits=ready.data.statistics, skipped=ready.data.skipped),
        environment=environment.describe(ready.device, cores=assignment.threads, loader_workers=ready.workers),
        flags=measure.merged((*found.plain.flags, *measure.loader_bound(training.data_wait_share), *course.flags())),
        attempts=(),
        variants=found.variants,
    )


def examine_given(
    assignment: record.Assignment, ready: Ready, folder: ResultFolder, speaker: Speaker, stop: Stop
) -> record.Record:
    """Evaluate and measure weights that are there already; the record has no training.

    Raises:
        TrialError: they, or the images, cannot be used.
        MachineError: the device is not there, the disk is full.
    """
    file = Path(assignment.weights or "")
    found = examine_weights(ready, file, folder, speaker, stop)
    return record.Record(
        schema_version=record.SCHEMA_VERSION,
        trial=ready.trial,
        outcome="succeeded",
        metrics=found.plain.metrics,
        measurements=record.Measurements(
            **inference_fields(found.plain.inference, training=None),
            train_images_per_s=None,
            data_wait_share=None,
            training_s=None,
            evaluation_s=found.plain.evaluation_s,
            epochs=(),
        ),
        model=record.Model(**found.size, head=ready.head, epoch=None, checkpoint=str(file)),
        data=record.Data(splits=ready.data.statistics, skipped=ready.data.skipped),
        environment=environment.describe(ready.device, cores=assignment.threads, loader_workers=ready.workers),
        flags=found.plain.flags,
        attempts=(),
        variants=found.variants,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What fine-tuned weights are worth: as they were trained, and as each variant; and how large they are."""

    plain: Examined
    variants: tuple[record.Variant, ...]
    size: dict[str, Any]


def examine_weights(ready: Ready, file: Path, folder: ResultFolder, speaker: Speaker, stop: Stop) -> Found:
    """Examine the model, then each variant of the weights in `file`; the model itself is gone afterwards."""
    trial, model = ready.trial, ready.model
    examiner = ready.examiner(folder, speaker, stop.check)
    plain = examiner.examine(ready.deployed())
    image = ready.evaluated[0].image
    size = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops": measure.count_flops(ready.deployed().detect, image),
        "state_sha256": checkpoint.state_sha256(model),
    }
    weights = deploy.Weights(
        checkpoint=file,
        architecture=trial.architecture.name,
        precision=ready.hyperparameters.precision,
        device=ready.device,
        threads=ready.threads,
    )
    samples = {"as trained": plain.samples}
    model.to("meta")  # its memory is not the variants'
    variants = []
    for variant, timings in examiner.variants(weights):
        variants.append(variant)
        samples[variant.name] = timings
    files.replace(folder.samples, tables.samples(samples))
    return Found(plain=plain, variants=tuple(variants), size=size)


def inference_fields(inference: record.Inference, *, training: record.Memory | None) -> dict[str, Any]:
    """The fields of a deployed model's measurements, with what training took at most."""
    fields = {name: getattr(inference, name) for name in record.Inference.__slots__}
    return {**fields, "memory": replace(inference.memory, training=training)}


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
