"""A training from wherever it stands to its end: what it looks at on the way, and when it leaves a checkpoint."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import torch

from harness.store import record
from harness.store.events import ResumedEvent, StageEvent, StepEvent, ValidationEvent
from harness.trial.evaluate.coco import accuracy
from harness.trial.inputs.loader import training_loader
from harness.trial.measure import memory
from harness.trial.measure.interference import SystemMonitor, interference_warnings, sample_system
from harness.trial.train.loop import Training, finetune

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.store.paths import ResultFolder
    from harness.suite.trial import Trial
    from harness.trial.context import TrialContext
    from harness.trial.events import EventWriter
    from harness.trial.interrupt import InterruptHandler
    from harness.trial.train.resume import State, States


_LOOK_S = 10.0  # a night has many of these


class Trainer:
    """A training from wherever it stands to its end: what it looks at on the way, and when it leaves a checkpoint."""

    def __init__(
        self,
        context: TrialContext,
        states: States,
        folder: ResultFolder,
        events: EventWriter,
        interrupt: InterruptHandler,
        *,
        checkpoint_s: float,
    ) -> None:
        self._context, self._states, self._folder, self._events, self._interrupt = (
            context,
            states,
            folder,
            events,
            interrupt,
        )
        self._checkpoint_s = checkpoint_s
        self._batches = context.batches()
        self._validated: list[float] = []
        self._best: State | None = None  # of the validations: epoch, and weights on the CPU
        self._resumed: list[str] = []
        self._kept_at = time.monotonic()
        self._watch: SystemMonitor | None = None
        self._joules_before = 0.0
        self._meter = sample_system(context.device).joules
        self.peak = memory.NO_MEMORY

    def train(self) -> Training:
        """Fine-tune; where a test split is reported on and val was looked at, keep val's best epoch, else the last."""
        context = self._context
        state = self._restore()
        memory.free_unused(context.device)
        memory.reset_peak(context.device)
        self._events.emit(StageEvent(stage="train"))
        if context.device.type == "cuda" or not context.workers:  # a CPU's loaders would look like others
            self._watch = SystemMonitor(partial(sample_system, context.device), time.perf_counter_ns, every_s=_LOOK_S)
        with self._interrupt.deferred():
            training = finetune(
                context.detector,
                training_loader(context.training_set(), self._batches, context.workers),
                self._batches,
                context.hyperparameters,
                device=context.device,
                state=state,
                on_step=self._on_step,
                validate=self._validate,
                keep=self._keep,
            )
        self._read_peak()
        if self._watch is not None:
            self._watch.close()
        self._interrupt.check()
        if self._best is not None:
            context.model.load_state_dict(self._best["state"])
        return training

    @property
    def weights_of_epoch(self) -> int:
        """The epoch that the model is left with."""
        return int(self._best["epoch"] if self._best is not None else self._context.hyperparameters.epochs or 0)

    def joules(self) -> float | None:
        """The GPU's energy since the trial began, without what lay between two attempts."""
        now = sample_system(self._context.device).joules
        return self._joules_before + now - self._meter if now is not None and self._meter is not None else None

    def warnings(self) -> tuple[record.MeasurementWarning, ...]:
        """What a reader should know of how these weights came about."""
        trial, accumulate = self._context.trial, self._context.hyperparameters.accumulate
        system_samples = self._watch.system_samples if self._watch is not None else ()
        warnings = [
            record.MeasurementWarning(name=warning.name, reason=f"training: {warning.reason}")
            for warning in interference_warnings(system_samples)
        ]
        warnings += subset_warnings(trial)
        if self._resumed:
            warnings.append(
                record.MeasurementWarning(
                    name="resumed", reason=f"training was cut and went on {', then '.join(self._resumed)}"
                )
            )
        if accumulate != trial.hyperparameters.accumulate:
            warnings.append(
                record.MeasurementWarning(
                    name="accumulated",
                    reason=f"out of memory with accumulate: {trial.hyperparameters.accumulate}, so a batch of "
                    f"{trial.hyperparameters.batch_size} passed in {accumulate} parts",
                )
            )
        return tuple(warnings)

    def _restore(self) -> State | None:
        """The newest state, and what this object knew when it was left."""
        state = self._states.newest()
        if state is None:
            return None
        self._validated, self._best = state["validated"], state["best"]
        self.peak = record.Memory(**state["peak"])
        self._joules_before = state.get("joules") or 0.0
        position = state["position"]
        place = f"at epoch {position['epoch']}, step {position['step'] + 1}"
        if position["epoch"] > (self._context.hyperparameters.epochs or 0):
            place = "after the last epoch"
        if state["where"] != self._where():
            place += f" (before it ran on {state['where']}, then on {self._where()})"
        self._resumed = [*state["resumed"], place]
        self._events.emit(ResumedEvent(place=place))
        return state

    def _where(self) -> str:
        """What the same bits need."""
        return f"{self._context.device.type} with {self._context.threads} threads and torch {torch.__version__}"

    def _on_step(self, epoch: int, step: int, steps: int, loss: float, speed: float) -> None:
        if self._watch is not None:
            self._watch.sample_if_due()
        emit = self._events.emit if step == steps else self._events.progress
        epochs = self._context.hyperparameters.epochs or 0
        emit(StepEvent(epoch=epoch, epochs=epochs, step=step, steps=steps, loss=loss, images_per_s=speed))

    def _keep(self, state: Callable[[], State], steps: int, *, epoch_ended: bool) -> None:
        """Leave a checkpoint where one is due, or where this process was asked to stop."""
        due = time.monotonic() - self._kept_at >= self._checkpoint_s
        if epoch_ended or due or self._interrupt.asked:
            self._read_peak()
            own = {
                "validated": self._validated,
                "best": self._best,
                "peak": asdict(self.peak),
                "resumed": self._resumed,
                "joules": self.joules(),
                "where": self._where(),
            }
            self._states.save({**state(), **own}, steps=steps)
            self._kept_at = time.monotonic()
        self._interrupt.check()

    def _validate(self) -> tuple[float | None, float | None]:
        context, epoch = self._context, self._batches.epoch
        self._read_peak()
        val = context.data.splits["val"]
        benchmark = context.benchmark(self._folder, self._events, self._interrupt.check)
        truths, found = benchmark.detections(context.deployed(), "val", val, stage="train")
        metrics = accuracy(truths, found, class_names=val.class_names, split="val")
        score = metrics.map or 0.0
        if context.report_on == "test" and score > max(self._validated, default=-1.0):
            weights = {name: tensor.to("cpu", copy=True) for name, tensor in context.model.state_dict().items()}
            self._best = {"epoch": epoch, "state": weights}
        self._validated.append(score)
        self._events.emit(ValidationEvent(epoch=epoch, map=metrics.map, map_50=metrics.map_50))
        memory.reset_peak(context.device)  # validation is not training
        return metrics.map, metrics.map_50

    def _read_peak(self) -> None:
        self.peak = memory.larger(self.peak, memory.read_peak(self._context.device))


def subset_warnings(trial: Trial) -> tuple[record.MeasurementWarning, ...]:
    """Of a trial that uses only some of the images."""
    if not trial.max_images:
        return ()
    return (record.MeasurementWarning(name="subset", reason=f"only the first {trial.max_images} images of each split"),)
