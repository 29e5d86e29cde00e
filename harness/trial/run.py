"""One trial in this process: fine-tune, evaluate, measure; or the latter two alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.store import files, record, tables
from harness.store.migrate import SCHEMA_VERSION
from harness.trial import environment, variants
from harness.trial.arrays import stored_timings
from harness.trial.measure import memory, protocol
from harness.trial.measure.repeat import merged
from harness.trial.models import checkpoint
from harness.trial.train.resume import States
from harness.trial.train.trainer import Trainer, subset_warnings

if TYPE_CHECKING:
    from harness.store.job import Job
    from harness.store.paths import AttemptFolder
    from harness.trial.benchmark import BenchmarkResult
    from harness.trial.context import TrialContext
    from harness.trial.events import EventWriter
    from harness.trial.interrupt import InterruptHandler


def run_trial(
    job: Job, context: TrialContext, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> record.Record:
    """Fine-tune, evaluate and measure one trial; leaves weights, samples and predictions in the trial's folder.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: nothing can go on: the device is not there, the disk is full.
        Interrupted: it was asked to stop; a state to go on from is there.
    """
    trial_folder = folder.trial
    states = States(folder=trial_folder.checkpoints, trial_id=context.trial.trial_id)
    trainer = Trainer(context, states, trial_folder, events, interrupt, checkpoint_s=job.checkpoint_s)
    training = trainer.train()
    file = trial_folder.checkpoints / "weights.pt"
    checkpoint.save(file, context.detector, context.trial.architecture, context.data.splits["train"].class_names)
    found = benchmark_with_variants(replace(job, weights=str(file)), context, folder, events, interrupt)
    return _record(
        job,
        context,
        found,
        measurements=record.Measurements(
            **_inference_fields(found.plain.inference, training=trainer.peak),
            train_images_per_s=training.images_per_s,
            data_wait_fraction=training.data_wait_fraction,
            training_s=training.wall_s,
            evaluation_s=found.plain.evaluation_s,
            epochs=training.epochs,
            joules=trainer.joules(),
        ),
        model=record.Model(
            **found.size,
            head=context.head,
            epoch=trainer.weights_of_epoch,
            checkpoint=str(file.relative_to(trial_folder.path)),
        ),
        warnings=(*protocol.loader_bound(training.data_wait_fraction), *trainer.warnings()),
    )


def benchmark_weights(
    job: Job, context: TrialContext, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> record.Record:
    """Evaluate and measure weights that are there already; the record has no training.

    Raises:
        TrialError: they, or the images, cannot be used.
        MachineError: the device is not there, the disk is full.
    """
    found = benchmark_with_variants(job, context, folder, events, interrupt)
    return _record(
        job,
        context,
        found,
        measurements=record.Measurements(
            **_inference_fields(found.plain.inference, training=None),
            train_images_per_s=None,
            data_wait_fraction=None,
            training_s=None,
            evaluation_s=found.plain.evaluation_s,
            epochs=(),
        ),
        model=record.Model(**found.size, head=context.head, epoch=None, checkpoint=job.weights or ""),
        warnings=subset_warnings(context.trial),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsResult:
    """What fine-tuned weights are worth: as they were trained, and as each variant; and how large they are."""

    plain: BenchmarkResult
    variants: tuple[record.Variant, ...]
    size: dict[str, Any]


def benchmark_with_variants(
    job: Job, context: TrialContext, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> WeightsResult:
    """Examine the model, then each variant of the weights it was saved as; the model itself is gone afterwards."""
    model = context.model
    plain = context.benchmark(folder.result, events, interrupt.check).examine(context.deployed())
    size = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops": protocol.count_flops(context.deployed().detect, context.evaluated[0].image),
        "state_sha256": checkpoint.state_sha256(model),
    }
    model.to("meta")  # its memory is not the variants'
    memory.free_unused(context.device)
    found = variants.examine_each(job, folder, events, interrupt)
    timings = [
        tables.write_timings({record.AS_TRAINED: stored_timings(plain.samples)}),
        *(samples for _, samples in found if samples),
    ]
    files.replace(folder.result.samples, tables.concatenate_timings(timings))
    return WeightsResult(plain=plain, variants=tuple(variant for variant, _ in found), size=size)


def _inference_fields(inference: record.Inference, *, training: record.Memory | None) -> dict[str, Any]:
    """The fields of a deployed model's measurements, with what training took at most."""
    fields = {name: getattr(inference, name) for name in record.Inference.__slots__}
    return {**fields, "memory": replace(inference.memory, training=training)}


def _record(
    job: Job,
    context: TrialContext,
    found: WeightsResult,
    *,
    measurements: record.Measurements,
    model: record.Model,
    warnings: tuple[record.MeasurementWarning, ...],
) -> record.Record:
    """All that is known, but for the attempts; `flags` come beside those of the measurement."""
    return record.Record(
        schema_version=SCHEMA_VERSION,
        trial=context.trial,
        outcome="succeeded",
        metrics=found.plain.metrics,
        measurements=measurements,
        model=model,
        data=record.Data(splits=context.data.statistics, skipped=context.data.skipped),
        environment=environment.describe(context.device, cores=job.threads, loader_workers=context.workers),
        warnings=merged((*found.plain.warnings, *warnings)),
        attempts=(),
        variants=found.variants,
    )
