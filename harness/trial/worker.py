"""The child's story: read the assignment, build, fine-tune, evaluate, measure, commit the record, say how it ended."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch

from harness.errors import HarnessError, MachineError
from harness.store import files, record
from harness.trial import checkpoint, environment, measure, tables
from harness.trial.dataset import Items, open_dataset
from harness.trial.evaluate import accuracy, evaluate
from harness.trial.finetune import Training, finetune
from harness.trial.loader import EpochBatches, TrainingSet, evaluation_items, training_loader
from harness.trial.models import build

if TYPE_CHECKING:
    from harness.store.files import AttemptFolder, TrialFolder
    from harness.suite.spec import Trial

log = logging.getLogger(__name__)

_EVENT_INTERVAL_S = 1.0

Say = Callable[..., None]  # of an event's name and its fields


def run_attempt(folder: AttemptFolder) -> int:
    """Run the assignment in `folder`, commit its record, and leave an outcome; returns the exit code.

    0 succeeded, 1 failed, 3 the machine cannot go on. Whatever happens is in `outcome.json` and the log.
    """
    assignment = record.decode(record.ASSIGNMENT, folder.assignment.read_bytes(), str(folder.assignment))
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    ended: tuple[record.OutcomeName, str | None, bool] = ("succeeded", None, False)
    code = 0
    finished: record.Record | None = None
    with folder.events.open("a", encoding="utf-8") as events:
        try:
            finished = run_trial(assignment, folder.trial, _speaker(events))
        except MachineError as error:
            ended, code = ("failed", str(error), True), error.exit_code
        except HarnessError as error:
            log.error("%s", error, exc_info=error.__cause__)
            ended, code = ("failed", str(error), False), error.exit_code
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be told: the other trials go on
            log.error("%s", traceback.format_exc())
            ended, code = (*_classified(error), True), 1
    outcome = record.Outcome(
        outcome=ended[0],
        reason=ended[1],
        retryable=ended[2],
        started_at=started_at,
        wall_s=time.perf_counter() - started,
    )
    if finished is not None:
        mine = record.Attempt(number=assignment.number, **_fields(outcome))
        finished = replace(finished, attempts=(*_earlier(folder), mine))
        files.commit(folder.trial.record, record.encode(record.RECORD, finished))
    files.commit(folder.outcome, record.encode(record.OUTCOME, outcome))
    return code


def run_trial(assignment: record.Assignment, folder: TrialFolder, say: Say) -> record.Record:
    """Fine-tune, evaluate and measure one trial; leaves weights, samples and predictions in `folder`.

    Raises:
        TrialError: this trial cannot go on.
        MachineError: nothing can go on: the device is not there, the disk is full.
    """
    trial = assignment.trial
    h, choice = trial.hyperparameters, trial.architecture
    device = environment.choose_device(assignment.device)
    environment.prepare(device, trial.protocol, threads=assignment.threads, seed=trial.seed)
    workers = _loader_workers(h.loader_workers, device, assignment.threads)
    say("stage", stage="data", device=str(device))
    data = open_dataset(trial.dataset, limit=trial.limit, import_folder=Path(assignment.import_folder))
    opened = data.splits
    class_names = opened["train"].class_names
    say("stage", stage="model")
    model, head = build.build(
        choice.name,
        weights=choice.weights,
        classes=len(class_names),
        image_size=choice.image_size,
        options=choice.model,
    )
    model.to(device)
    report_on = list(opened)[-1]
    training, memory, epoch = _train(trial, model, opened, report_on, device, workers, say)
    checkpoint_file = folder.checkpoints / "weights.pt"
    checkpoint.save(checkpoint_file, model, choice, class_names)

    say("stage", stage="evaluate")
    evaluation_started = time.perf_counter()
    _for_accuracy(model, trial)
    truths, found = evaluate(model, evaluation_items(opened[report_on], workers), device=device, precision=h.precision)
    metrics = accuracy(truths, found, class_names=class_names, split=report_on)
    evaluation_s = time.perf_counter() - evaluation_started
    files.replace(folder.predictions, tables.predictions(truths, found, class_names))

    say("stage", stage="measure")
    measured = measure.measure_model(
        model,
        opened[report_on],
        trial.protocol,
        architecture=choice.name,
        precision=h.precision,
        device=device,
    )
    files.replace(folder.samples, tables.samples(measured.samples))
    flags = measure.instability(measured.latency)
    if trial.limit:
        flags = (*flags, record.Flag(name="rehearsal", reason=f"only the first {trial.limit} images of each split"))
    return record.Record(
        schema_version=record.SCHEMA_VERSION,
        trial=trial,
        outcome="succeeded",
        metrics=metrics,
        measurements=record.Measurements(
            latency_s=measured.latency,
            throughput_images_per_s=measured.throughput,
            throughput_batch_size=trial.protocol.throughput_batch_size,
            train_images_per_s=training.images_per_s,
            data_wait_share=training.data_wait_share,
            memory=record.MemoryPasses(training=memory, inference=measured.memory),
            training_s=training.wall_s,
            evaluation_s=evaluation_s,
            epochs=training.epochs,
        ),
        model=record.Model(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
            flops=measured.flops,
            head=head,
            epoch=epoch,
            state_sha256=checkpoint.state_sha256(model),
            checkpoint=str(checkpoint_file.relative_to(folder.path)),
        ),
        data=record.Data(splits=data.statistics, skipped=data.skipped),
        environment=environment.describe(device, cores=assignment.threads, loader_workers=workers),
        flags=flags,
        attempts=(),
    )


def _train(
    trial: Trial,
    model: torch.nn.Module,
    opened: dict[str, Items],
    report_on: str,
    device: torch.device,
    workers: int,
    say: Say,
) -> tuple[Training, record.Memory, int]:
    """Fine-tune; where a test split is reported on and val was looked at, keep val's best epoch, else the last one."""
    h = trial.hyperparameters
    batches = EpochBatches(len(opened["train"]), h.batch_size, trial.seed)
    loader = training_loader(TrainingSet(opened["train"], h.augmentation, trial.seed), batches, workers)
    validated: list[float] = []
    best: dict[str, Any] = {}
    said = 0.0
    peak = record.Memory(peak_allocated_bytes=None, peak_reserved_bytes=None, peak_resident_bytes=None)

    def on_step(epoch: int, step: int, steps: int, loss: float, speed: float) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _EVENT_INTERVAL_S or step == steps:
            said = now
            say(
                "step",
                stage="train",
                epoch=epoch,
                epochs=h.epochs,
                step=step,
                steps=steps,
                loss=loss,
                images_per_s=speed,
            )

    def validate() -> tuple[float | None, float | None]:
        nonlocal peak
        peak = measure.larger(peak, measure.read_peak(device))
        _for_accuracy(model, trial)
        truths, found = evaluate(model, evaluation_items(opened["val"], workers), device=device, precision=h.precision)
        metrics = accuracy(truths, found, class_names=opened["val"].class_names, split="val")
        score = metrics.map or 0.0
        if report_on == "test" and score > max(validated, default=-1.0):
            state = {name: tensor.to("cpu", copy=True) for name, tensor in model.state_dict().items()}
            best.update(epoch=batches.epoch, state=state)
        validated.append(score)
        say("validation", stage="train", epoch=batches.epoch, map=metrics.map, map_50=metrics.map_50)
        measure.reset_peak(device)  # validation is not training
        return metrics.map, metrics.map_50

    measure.free_unused(device)
    measure.reset_peak(device)
    training = finetune(model, loader, batches, h, device=device, on_step=on_step, validate=validate)
    peak = measure.larger(peak, measure.read_peak(device))
    if best:
        model.load_state_dict(best["state"])
    return training, peak, int(best.get("epoch", batches.epoch))


def _for_accuracy(model: torch.nn.Module, trial: Trial) -> None:
    protocol = trial.protocol
    build.set_postprocessing(
        model, trial.architecture.name, score_threshold=protocol.score_threshold, detections=protocol.detections
    )


def _speaker(events: TextIO) -> Say:
    """A function that appends one progress line, flushed: the parent reads along."""

    def say(event: str, **fields: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        events.write(json.dumps({"time": now, "event": event, **fields}) + "\n")
        events.flush()
        log.info("%s %s", event, " ".join(f"{key}={_brief(value)}" for key, value in fields.items()))

    return say


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _classified(error: Exception) -> tuple[record.OutcomeName, str]:
    """An exception of torch's or python's as outcome and reason."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    host = "can't allocate memory" in text[0] or isinstance(error, MemoryError)
    if isinstance(error, torch.cuda.OutOfMemoryError) or host:
        where = "host" if host else "device"
        return "out_of_memory", (
            f"out of {where} memory: {text[0]}; lower batch_size (or raise accumulate, which keeps "
            "the step), lower image_size, or use precision: bf16"
        )
    return "failed", f"{type(error).__name__}: {text[0]}"


def _earlier(folder: AttemptFolder) -> tuple[record.Attempt, ...]:
    """The attempts before this one that left an outcome."""
    found = []
    for attempt in folder.trial.attempts():
        if attempt.number < folder.number and attempt.outcome.is_file():
            outcome = record.decode(record.OUTCOME, attempt.outcome.read_bytes(), str(attempt.outcome))
            found.append(record.Attempt(number=attempt.number, **_fields(outcome)))
    return tuple(found)


def _fields(outcome: record.Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in record.Outcome.__slots__}


def _loader_workers(wanted: int | str, device: torch.device, threads: int) -> int:
    """`auto`: beside a GPU up to four processes decode; on the CPU they would take the cores that train."""
    if isinstance(wanted, int):
        return wanted
    return min(4, max(0, threads - 1)) if device.type == "cuda" else 0
