"""One trial in this process: open the data, build, fine-tune (from the last checkpoint, if any), evaluate, measure.

`prepare` is what a rehearsal and the real run share; `harness.trial.rehearse` is the former, `run_trial` the latter.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.store import files, record
from harness.trial import checkpoint, environment, measure, tables
from harness.trial.dataset import Items, Opened, open_dataset
from harness.trial.evaluate import Detections, Truth, accuracy, evaluate
from harness.trial.finetune import Training, finetune
from harness.trial.loader import EpochBatches, TrainingSet, evaluation_items, training_loader
from harness.trial.models import build
from harness.trial.resume import States

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.store.files import TrialFolder
    from harness.suite.spec import Hyperparameters, Trial
    from harness.trial.resume import State
    from harness.trial.speaker import Speaker
    from harness.trial.stop import Stop

log = logging.getLogger(__name__)


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

    def for_accuracy(self) -> None:
        """Let the detector answer as accuracy is defined."""
        protocol = self.trial.protocol
        build.set_postprocessing(
            self.model,
            self.trial.architecture.name,
            score_threshold=protocol.score_threshold,
            detections=protocol.detections,
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
    trial, model, device = ready.trial, ready.model, ready.device
    h = ready.hyperparameters
    states = States(folder=folder.checkpoints, trial_id=trial.trial_id)
    course = _Course(ready, states, speaker, stop, checkpoint_s=assignment.checkpoint_s)
    training = course.train()
    class_names = ready.data.splits["train"].class_names
    checkpoint_file = folder.checkpoints / "weights.pt"
    checkpoint.save(checkpoint_file, model, trial.architecture, class_names)

    speaker.say("stage", stage="evaluate")
    started = time.perf_counter()
    truths, found = _evaluated(ready, ready.report_on, speaker, stage="evaluate", check=stop.check)
    metrics = accuracy(truths, found, class_names=class_names, split=ready.report_on)
    evaluation_s = time.perf_counter() - started
    files.replace(folder.predictions, tables.predictions(truths, found, class_names))

    speaker.say("stage", stage="measure")
    measured = measure.measure_model(
        model,
        ready.evaluated,
        trial.protocol,
        architecture=trial.architecture.name,
        precision=h.precision,
        device=device,
        beat=lambda: speaker.progress("measured", stage="measure"),
    )
    files.replace(folder.samples, tables.samples(measured.samples))
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
            memory=record.MemoryPasses(training=course.peak, inference=measured.memory),
            training_s=training.wall_s,
            evaluation_s=evaluation_s,
            epochs=training.epochs,
        ),
        model=record.Model(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
            flops=measured.flops,
            head=ready.head,
            epoch=course.weights_of_epoch,
            state_sha256=checkpoint.state_sha256(model),
            checkpoint=str(checkpoint_file.relative_to(folder.path)),
        ),
        data=record.Data(splits=ready.data.statistics, skipped=ready.data.skipped),
        environment=environment.describe(device, cores=assignment.threads, loader_workers=ready.workers),
        flags=(*measure.instability(measured.latency), *course.flags()),
        attempts=(),
    )


class _Course:
    """A training from wherever it stands to its end: what it looks at on the way, and when it leaves a checkpoint."""

    def __init__(self, ready: Ready, states: States, speaker: Speaker, stop: Stop, *, checkpoint_s: float) -> None:
        self._ready, self._states, self._speaker, self._stop = ready, states, speaker, stop
        self._checkpoint_s = checkpoint_s
        self._batches = ready.batches()
        self._validated: list[float] = []
        self._best: State | None = None  # of the validations: epoch, and weights on the CPU
        self._resumed: list[str] = []
        self._kept_at = time.monotonic()
        self.peak = record.Memory(peak_allocated_bytes=None, peak_reserved_bytes=None, peak_resident_bytes=None)

    def train(self) -> Training:
        """Fine-tune; where a test split is reported on and val was looked at, keep val's best epoch, else the last."""
        ready = self._ready
        state = self._restore()
        measure.free_unused(ready.device)
        measure.reset_peak(ready.device)
        self._speaker.say("stage", stage="train")
        with self._stop.deferred():
            training = finetune(
                ready.model,
                training_loader(ready.training_set(), self._batches, ready.workers),
                self._batches,
                ready.hyperparameters,
                device=ready.device,
                state=state,
                on_step=self._on_step,
                validate=self._validate,
                keep=self._keep,
            )
        self._read_peak()
        self._stop.check()
        if self._best is not None:
            ready.model.load_state_dict(self._best["state"])
        return training

    @property
    def weights_of_epoch(self) -> int:
        """The epoch that the model is left with."""
        return int(self._best["epoch"] if self._best is not None else self._ready.hyperparameters.epochs or 0)

    def flags(self) -> tuple[record.Flag, ...]:
        """What a reader should know of how these weights came about."""
        trial, accumulate = self._ready.trial, self._ready.hyperparameters.accumulate
        flags = []
        if trial.limit:
            flags.append(record.Flag(name="rehearsal", reason=f"only the first {trial.limit} images of each split"))
        if self._resumed:
            flags.append(
                record.Flag(name="resumed", reason=f"training was cut and went on {', then '.join(self._resumed)}")
            )
        if accumulate != trial.hyperparameters.accumulate:
            flags.append(
                record.Flag(
                    name="accumulated",
                    reason=f"out of memory with accumulate: {trial.hyperparameters.accumulate}, so a batch of "
                    f"{trial.hyperparameters.batch_size} passed in {accumulate} parts",
                )
            )
        return tuple(flags)

    def _restore(self) -> State | None:
        """The newest state, and what this object knew when it was left."""
        state = self._states.newest()
        if state is None:
            return None
        self._validated, self._best = state["validated"], state["best"]
        self.peak = record.Memory(**state["peak"])
        position = state["position"]
        place = f"at epoch {position['epoch']}, step {position['step'] + 1}"
        if position["epoch"] > (self._ready.hyperparameters.epochs or 0):
            place = "after the last epoch"
        if state["where"] != self._where():
            place += f" (before it ran on {state['where']}, then on {self._where()})"
        self._resumed = [*state["resumed"], place]
        self._speaker.say("resumed", stage="train", place=place)
        return state

    def _where(self) -> str:
        """What the same bits need."""
        return f"{self._ready.device.type} with {self._ready.threads} threads and torch {torch.__version__}"

    def _on_step(self, epoch: int, step: int, steps: int, loss: float, speed: float) -> None:
        say = self._speaker.say if step == steps else self._speaker.progress
        say(
            "step",
            stage="train",
            epoch=epoch,
            epochs=self._ready.hyperparameters.epochs,
            step=step,
            steps=steps,
            loss=loss,
            images_per_s=speed,
        )

    def _keep(self, state: Callable[[], State], steps: int, *, epoch_ended: bool) -> None:
        """Leave a checkpoint where one is due, or where this process was asked to stop."""
        due = time.monotonic() - self._kept_at >= self._checkpoint_s
        if epoch_ended or due or self._stop.asked:
            self._read_peak()
            own = {
                "validated": self._validated,
                "best": self._best,
                "peak": asdict(self.peak),
                "resumed": self._resumed,
                "where": self._where(),
            }
            self._states.save({**state(), **own}, steps=steps)
            self._kept_at = time.monotonic()
        self._stop.check()

    def _validate(self) -> tuple[float | None, float | None]:
        ready, epoch = self._ready, self._batches.epoch
        self._read_peak()
        truths, found = _evaluated(ready, "val", self._speaker, stage="train", check=self._stop.check)
        metrics = accuracy(truths, found, class_names=ready.data.splits["val"].class_names, split="val")
        score = metrics.map or 0.0
        if ready.report_on == "test" and score > max(self._validated, default=-1.0):
            weights = {name: tensor.to("cpu", copy=True) for name, tensor in ready.model.state_dict().items()}
            self._best = {"epoch": epoch, "state": weights}
        self._validated.append(score)
        self._speaker.say("validation", stage="train", epoch=epoch, map=metrics.map, map_50=metrics.map_50)
        measure.reset_peak(ready.device)  # validation is not training
        return metrics.map, metrics.map_50

    def _read_peak(self) -> None:
        self.peak = measure.larger(self.peak, measure.read_peak(self._ready.device))


def _evaluated(
    ready: Ready, split: str, speaker: Speaker, *, stage: str, check: Callable[[], None]
) -> tuple[tuple[Truth, ...], tuple[Detections, ...]]:
    """Detections on a split at accuracy's thresholds; `check` may raise between two images."""
    ready.for_accuracy()
    items = ready.data.splits[split]

    def on_image(done: int) -> None:
        speaker.progress("evaluated", stage=stage, images=done, of=len(items))
        check()

    return evaluate(
        ready.model,
        evaluation_items(items, ready.workers),
        device=ready.device,
        precision=ready.hyperparameters.precision,
        on_image=on_image,
    )


def _loader_workers(wanted: int | str, device: torch.device, threads: int) -> int:
    """`auto`: beside a GPU up to four processes decode; on the CPU they would take the cores that train."""
    if isinstance(wanted, int):
        return wanted
    return min(4, max(0, threads - 1)) if device.type == "cuda" else 0
