"""One trial in this process: fine-tune, evaluate, measure; or the latter two alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.store import files, job, record, tables
from harness.trial import environment, variants
from harness.trial.measure import memory, protocol
from harness.trial.measure.repeat import merged
from harness.trial.models import checkpoint
from harness.trial.train.resume import States
from harness.trial.train.trainer import Trainer, rehearsal_flag

if TYPE_CHECKING:
    from harness.store.paths import AttemptFolder
    from harness.trial.benchmark import BenchmarkResult
    from harness.trial.context import TrialContext
    from harness.trial.events import EventWriter
    from harness.trial.interrupt import InterruptHandler


def run_trial(
    assignment: job.Job, ready: TrialContext, folder: AttemptFolder, speaker: EventWriter, stop: InterruptHandler
) -> record.Record:
    """Fine-tune, evaluate and measure one trial; leaves weights, samples and predictions in the trial's folder.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: nothing can go on: the device is not there, the disk is full.
        Interrupted: it was asked to stop; a state to go on from is there.
    """
    trial_folder = folder.trial
    states = States(folder=trial_folder.checkpoints, trial_id=ready.trial.trial_id)
    course = Trainer(ready, states, trial_folder, speaker, stop, checkpoint_s=assignment.checkpoint_s)
    training = course.train()
    file = trial_folder.checkpoints / "weights.pt"
    checkpoint.save(file, ready.model, ready.trial.architecture, ready.data.splits["train"].class_names)
    found = benchmark_with_variants(replace(assignment, weights=str(file)), ready, folder, speaker, stop)
    return _record(
        assignment,
        ready,
        found,
        measurements=record.Measurements(
            **_inference_fields(found.plain.inference, training=course.peak),
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
            checkpoint=str(file.relative_to(trial_folder.path)),
        ),
        flags=(*protocol.loader_bound(training.data_wait_share), *course.flags()),
    )


def benchmark_weights(
    assignment: job.Job, ready: TrialContext, folder: AttemptFolder, speaker: EventWriter, stop: InterruptHandler
) -> record.Record:
    """Evaluate and measure weights that are there already; the record has no training.

    Raises:
        TrialError: they, or the images, cannot be used.
        MachineError: the device is not there, the disk is full.
    """
    found = benchmark_with_variants(assignment, ready, folder, speaker, stop)
    return _record(
        assignment,
        ready,
        found,
        measurements=record.Measurements(
            **_inference_fields(found.plain.inference, training=None),
            train_images_per_s=None,
            data_wait_share=None,
            training_s=None,
            evaluation_s=found.plain.evaluation_s,
            epochs=(),
        ),
        model=record.Model(**found.size, head=ready.head, epoch=None, checkpoint=assignment.weights or ""),
        flags=rehearsal_flag(ready.trial),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsResult:
    """What fine-tuned weights are worth: as they were trained, and as each variant; and how large they are."""

    plain: BenchmarkResult
    variants: tuple[record.Variant, ...]
    size: dict[str, Any]


def benchmark_with_variants(
    assignment: job.Job, ready: TrialContext, folder: AttemptFolder, speaker: EventWriter, stop: InterruptHandler
) -> WeightsResult:
    """Examine the model, then each variant of the weights it was saved as; the model itself is gone afterwards."""
    model = ready.model
    plain = ready.examiner(folder.result, speaker, stop.check).examine(ready.deployed())
    size = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops": protocol.count_flops(ready.deployed().detect, ready.evaluated[0].image),
        "state_sha256": checkpoint.state_sha256(model),
    }
    model.to("meta")  # its memory is not the variants'
    memory.free_unused(ready.device)
    found = variants.examine_each(assignment, folder, speaker, stop)
    timings = [tables.write_timings({record.AS_TRAINED: plain.samples}), *(samples for _, samples in found if samples)]
    files.replace(folder.result.samples, tables.concatenate_timings(timings))
    return WeightsResult(plain=plain, variants=tuple(variant for variant, _ in found), size=size)


def _inference_fields(inference: record.Inference, *, training: record.Memory | None) -> dict[str, Any]:
    """The fields of a deployed model's measurements, with what training took at most."""
    fields = {name: getattr(inference, name) for name in record.Inference.__slots__}
    return {**fields, "memory": replace(inference.memory, training=training)}


def _record(
    assignment: job.Job,
    ready: TrialContext,
    found: WeightsResult,
    *,
    measurements: record.Measurements,
    model: record.Model,
    flags: tuple[record.MeasurementWarning, ...],
) -> record.Record:
    """All that is known, but for the attempts; `flags` come beside those of the measurement."""
    return record.Record(
        schema_version=record.SCHEMA_VERSION,
        trial=ready.trial,
        outcome="succeeded",
        metrics=found.plain.metrics,
        measurements=measurements,
        model=model,
        data=record.Data(splits=ready.data.statistics, skipped=ready.data.skipped),
        environment=environment.describe(ready.device, cores=assignment.threads, loader_workers=ready.workers),
        flags=merged((*found.plain.flags, *flags)),
        attempts=(),
        variants=found.variants,
    )
