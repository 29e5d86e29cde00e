"""Run one training to its end, from the start or from a checkpoint: validation, checkpoints, memory, interference.

Does not own the loop over steps (`harness.trial.train.loop`) nor the checkpoint files (`harness.trial.train.resume`).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import torch

from harness.formatting import counted
from harness.store import record
from harness.store.events import EvaluatedEvent, ResumedEvent, StageEvent, StepEvent, ValidationEvent
from harness.trial.evaluate.coco import accuracy
from harness.trial.inputs.loader import evaluation_items, training_loader
from harness.trial.measure import memory
from harness.trial.measure.interference import SystemMonitor, interference_warnings, sample_system
from harness.trial.train.length import training_length
from harness.trial.train.loop import Training, finetune, is_finished, restored_position
from harness.trial.train.resume import restoring
from harness.trial.train.validate import Validation, validation_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.store.paths import ResultFolder
    from harness.suite.trial import Trial
    from harness.trial.context import TrialContext
    from harness.trial.events import EventWriter
    from harness.trial.interrupt import InterruptHandler
    from harness.trial.train.resume import State, States


_SAMPLE_INTERVAL_S = 10.0  # of the system's state; a long training has many samples


class Trainer:
    """One training, from the start or from its newest checkpoint."""

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
        self._length = training_length(context.hyperparameters, self._batches)
        self._val_scores: list[float] = []
        self._best: State | None = None  # the best validated epoch, and its weights on the CPU
        self._last_epoch = 0
        self._resumed: list[str] = []
        self._saved_at, self._saved_steps = time.monotonic(), 0
        self._monitor: SystemMonitor | None = None
        self._joules_before = 0.0
        self._joules_at_start = sample_system(context.device).joules
        self.peak = memory.NO_MEMORY

    def train(self) -> Training:
        """Fine-tune the model.

        If results are reported on test and val was evaluated, the model ends with the weights of val's best epoch,
        otherwise with those of the last epoch.
        """
        context = self._context
        with restoring():
            state = self._restore()
        memory.reset_peak(context.device)
        self._events.emit(StageEvent(stage="train"))
        if context.device.type == "cuda" or not context.workers:  # loaders would count as other load on a CPU
            self._monitor = SystemMonitor(
                partial(sample_system, context.device), time.perf_counter_ns, every_s=_SAMPLE_INTERVAL_S
            )
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
                save_checkpoint=self._save_checkpoint,
            )
        self._read_peak()
        if self._monitor is not None:
            self._monitor.close()
        self._interrupt.check()
        if self._best is not None:
            context.model.load_state_dict(self._best["state"])
        self._last_epoch = training.epochs[-1].epoch
        return training

    @property
    def weights_of_epoch(self) -> int:
        """The epoch whose weights the model has after training."""
        return int(self._best["epoch"] if self._best is not None else self._last_epoch)

    def joules(self) -> float | None:
        """Return the GPU's energy since the trial began, without the time between two attempts."""
        now = sample_system(self._context.device).joules
        return (
            self._joules_before + now - self._joules_at_start
            if now is not None and self._joules_at_start is not None
            else None
        )

    def warnings(self) -> tuple[record.MeasurementWarning, ...]:
        """Return the warnings about how these weights were trained."""
        trial, accumulate = self._context.trial, self._context.hyperparameters.accumulate
        system_samples = self._monitor.system_samples if self._monitor is not None else ()
        warnings = [
            record.MeasurementWarning(name=warning.name, reason=f"training: {warning.reason}")
            for warning in interference_warnings(system_samples)
        ]
        warnings += subset_warnings(trial)
        if self._resumed:
            warnings.append(
                record.MeasurementWarning(
                    name="resumed", reason=f"training was interrupted and resumed {', then '.join(self._resumed)}"
                )
            )
        if accumulate != trial.hyperparameters.accumulate:
            warnings.append(
                record.MeasurementWarning(
                    name="accumulated",
                    reason=f"out of memory with accumulate: {trial.hyperparameters.accumulate}, so a batch of "
                    f"{trial.hyperparameters.batch_size} was processed in {accumulate} parts",
                )
            )
        return tuple(warnings)

    def _restore(self) -> State | None:
        """Return the newest checkpoint's state, and restore this object's own fields from it."""
        state = self._states.newest()
        if state is None:
            return None
        self._val_scores, self._best = state["validated"], state["best"]
        self.peak = record.Memory(**state["peak"])
        self._joules_before = state.get("joules") or 0.0
        position = restored_position(state, self._batches)
        place = f"at epoch {position.epoch}, step {position.step + 1}"
        if is_finished(position, self._length, self._context.hyperparameters):
            place = "after the last epoch"
        if state["where"] != self._where():
            place += f" (before it ran on {state['where']}, then on {self._where()})"
        self._resumed = [*state["resumed"], place]
        self._events.emit(ResumedEvent(place=place))
        return state

    def _where(self) -> str:
        """Describe what a bit-identical resumption depends on."""
        return f"{self._context.device.type} with {self._context.threads} threads and torch {torch.__version__}"

    def _on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float, speed: float) -> None:
        if self._monitor is not None:
            self._monitor.sample_if_due()
        emit = self._events.emit if step == steps else self._events.progress
        emit(StepEvent(epoch=epoch, epochs=epochs, step=step, steps=steps, loss=loss, images_per_s=speed))
        self._context.lock.make_way()

    def _save_checkpoint(self, state: Callable[[], State], steps: int, *, finished: bool) -> None:
        """Save a checkpoint if one is due, if this process was asked to stop, or if training is finished.

        A finished training is kept, because evaluating and measuring may take long; only if the last step was not
        followed by a checkpoint already, after which nothing but a validation can be lost.
        """
        due = time.monotonic() - self._saved_at >= self._checkpoint_s
        if due or self._interrupt.asked or (finished and steps != self._saved_steps):
            self._read_peak()
            trainer_state = {
                "validated": self._val_scores,
                "best": self._best,
                "peak": asdict(self.peak),
                "resumed": self._resumed,
                "joules": self.joules(),
                "where": self._where(),
            }
            self._states.save({**state(), **trainer_state}, steps=steps)
            self._saved_at, self._saved_steps = time.monotonic(), steps
        self._interrupt.check()

    def _validate(self) -> Validation:
        context, h, epoch = self._context, self._context.hyperparameters, self._batches.epoch
        self._read_peak()
        val = context.data.splits["val"]
        benchmark = context.benchmark(self._folder, self._events, self._interrupt.check)
        ground_truth, detections = benchmark.detections(context.deployed(), "val", val, stage="train")
        metrics = accuracy(ground_truth, detections, class_names=val.class_names, split="val")
        score = metrics.map or 0.0
        if context.report_on == "test" and score > max(self._val_scores, default=-1.0):
            weights = {name: tensor.to("cpu", copy=True) for name, tensor in context.model.state_dict().items()}
            self._best = {"epoch": epoch, "state": weights}
        self._val_scores.append(score)

        def on_batch(images: int) -> None:
            self._events.progress(EvaluatedEvent(stage="train", split="val", images=images, of=len(val)))
            self._interrupt.check()

        loss = validation_loss(
            context.detector,
            evaluation_items(val, context.workers),
            batch_size=-(-h.batch_size // h.accumulate),
            device=context.device,
            precision=h.precision,
            on_batch=on_batch,
        )
        self._events.emit(ValidationEvent(epoch=epoch, map=metrics.map, map_50=metrics.map_50, loss=loss))
        memory.reset_peak(context.device)  # validation does not count as memory of training
        return Validation(map=metrics.map, map_50=metrics.map_50, loss=loss)

    def _read_peak(self) -> None:
        self.peak = memory.combine_peaks(self.peak, memory.read_peak(self._context.device))


def subset_warnings(trial: Trial) -> tuple[record.MeasurementWarning, ...]:
    """Return the warning of a trial that uses only some of the images."""
    if not trial.max_images:
        return ()
    return (
        record.MeasurementWarning(
            name="subset", reason=f"only the first {counted(trial.max_images, 'image')} of each split"
        ),
    )
