"""Run one trial in this process: fine-tune, evaluate and measure, or only evaluate and measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.store import files, record, tables
from harness.store.migrate import SCHEMA_VERSION
from harness.trial import environment, variants
from harness.trial.arrays import stored_timings
from harness.trial.measure import memory, protocol
from harness.trial.measure.repeat import merge_warnings
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
    """Fine-tune, evaluate and measure one trial; weights, samples and detections are written to the trial's folder.

    Raises:
        TrialError: this trial cannot continue.
        MachineError: no trial can continue: the device is missing, or the disk is full.
        Interrupted: the process was asked to stop; a checkpoint to resume from was written.
    """
    trial_folder = folder.trial
    states = States(folder=trial_folder.checkpoints, trial_id=context.trial.trial_id)
    trainer = Trainer(context, states, trial_folder, events, interrupt, checkpoint_s=job.checkpoint_s)
    training = trainer.train()
    file = trial_folder.checkpoints / "weights.pt"
    checkpoint.save(file, context.detector, context.trial.architecture, context.data.splits["train"].class_names)
    result = benchmark_with_variants(replace(job, weights=str(file)), context, folder, events, interrupt)
    return _record(
        job,
        context,
        result,
        measurements=record.Measurements(
            **_inference_fields(result.as_trained.inference, training=trainer.peak),
            train_images_per_s=training.images_per_s,
            data_wait_fraction=training.data_wait_fraction,
            training_s=training.wall_s,
            evaluation_s=result.as_trained.evaluation_s,
            epochs=training.epochs,
            joules=trainer.joules(),
            images_seen=training.images_seen,
            stopped_epoch=training.stopped_epoch,
            speedups=training.speedups,
        ),
        model=record.Model(
            **result.size,
            head=context.head,
            epoch=trainer.weights_of_epoch,
            checkpoint=str(file.relative_to(trial_folder.path)),
        ),
        warnings=(*protocol.loader_bound(training.data_wait_fraction), *trainer.warnings(), *context.warnings),
    )


def benchmark_weights(
    job: Job, context: TrialContext, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> record.Record:
    """Evaluate and measure existing weights; the record has no training.

    Raises:
        TrialError: the weights or the images cannot be used.
        MachineError: the device is missing, or the disk is full.
    """
    result = benchmark_with_variants(job, context, folder, events, interrupt)
    return _record(
        job,
        context,
        result,
        measurements=record.Measurements(
            **_inference_fields(result.as_trained.inference, training=None),
            train_images_per_s=None,
            data_wait_fraction=None,
            training_s=None,
            evaluation_s=result.as_trained.evaluation_s,
            epochs=(),
        ),
        model=record.Model(**result.size, head=context.head, epoch=None, checkpoint=job.weights or ""),
        warnings=(*subset_warnings(context.trial), *context.warnings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsResult:
    """The benchmark of fine-tuned weights.

    Attributes:
        as_trained: the result of the model as it was trained.
        variants: the result of each variant.
        size: the number of parameters, the floating-point operations of one image, and the hash of the weights.
    """

    as_trained: BenchmarkResult
    variants: tuple[record.Variant, ...]
    size: dict[str, Any]


def benchmark_with_variants(
    job: Job, context: TrialContext, folder: AttemptFolder, events: EventWriter, interrupt: InterruptHandler
) -> WeightsResult:
    """Benchmark the model, then each variant of the saved weights; the model cannot be used afterwards."""
    model = context.model
    as_trained = context.benchmark(folder.result, events, interrupt.check).run(context.deployed())
    size = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops": protocol.count_flops(model, context.deployed().detect, context.evaluated[0].image),
        "state_sha256": checkpoint.state_sha256(model),
    }
    model.to("meta")  # so that its memory is not counted as that of the variants
    memory.free_unused(context.device)
    with context.lock.left():  # each variant has a process of its own, which holds it
        variant_results = variants.run_variants(job, folder, events, interrupt)
    timings = [
        tables.write_timings({record.AS_TRAINED: stored_timings(as_trained.samples)}),
        *(samples for _, samples in variant_results if samples),
    ]
    files.replace(folder.result.samples, tables.concatenate_timings(timings))
    return WeightsResult(as_trained=as_trained, variants=tuple(variant for variant, _ in variant_results), size=size)


def _inference_fields(inference: record.Inference, *, training: record.Memory | None) -> dict[str, Any]:
    """Return the measurements of a deployed model as keyword arguments, with the peak memory of training."""
    fields = {name: getattr(inference, name) for name in record.Inference.__slots__}
    return {**fields, "memory": replace(inference.memory, training=training)}


def _record(
    job: Job,
    context: TrialContext,
    result: WeightsResult,
    *,
    measurements: record.Measurements,
    model: record.Model,
    warnings: tuple[record.MeasurementWarning, ...],
) -> record.Record:
    """Build the record without its attempts; `warnings` are added to those of the measurement."""
    return record.Record(
        schema_version=SCHEMA_VERSION,
        trial=context.trial,
        outcome="succeeded",
        metrics=result.as_trained.metrics,
        measurements=measurements,
        model=model,
        data=record.Data(splits=context.data.statistics, skipped=context.data.skipped),
        environment=environment.describe(context.device, cores=job.threads, loader_workers=context.workers),
        warnings=merge_warnings((*result.as_trained.warnings, *warnings)),
        attempts=(),
        variants=result.variants,
    )
