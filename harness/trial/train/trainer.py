"""A training from wherever it stands to its end: what it looks at on the way, and when it leaves a checkpoint."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import torch

from harness.store import record
from harness.trial.evaluate.coco import accuracy
from harness.trial.inputs.loader import training_loader
from harness.trial.measure import memory
from harness.trial.measure.interference import SystemMonitor, doubts, sample_system
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
        ready: TrialContext,
        states: States,
        folder: ResultFolder,
        speaker: EventWriter,
        stop: InterruptHandler,
        *,
        checkpoint_s: float,
    ) -> None:
        self._ready, self._states, self._folder, self._speaker, self._stop = ready, states, folder, speaker, stop
        self._checkpoint_s = checkpoint_s
        self._batches = ready.batches()
        self._validated: list[float] = []
        self._best: State | None = None  # of the validations: epoch, and weights on the CPU
        self._resumed: list[str] = []
        self._kept_at = time.monotonic()
        self._watch: SystemMonitor | None = None
        self._joules_before = 0.0
        self._meter = sample_system(ready.device).joules
        self.peak = memory.NO_MEMORY

    def train(self) -> Training:
        """Fine-tune; where a test split is reported on and val was looked at, keep val's best epoch, else the last."""
        ready = self._ready
        state = self._restore()
        memory.free_unused(ready.device)
        memory.reset_peak(ready.device)
        self._speaker.say("stage", stage="train")
        if ready.device.type == "cuda" or not ready.workers:  # a CPU's loaders would look like others
            self._watch = SystemMonitor(partial(sample_system, ready.device), time.perf_counter_ns, every_s=_LOOK_S)
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
        if self._watch is not None:
            self._watch.close()
        self._stop.check()
        if self._best is not None:
            ready.model.load_state_dict(self._best["state"])
        return training

    @property
    def weights_of_epoch(self) -> int:
        """The epoch that the model is left with."""
        return int(self._best["epoch"] if self._best is not None else self._ready.hyperparameters.epochs or 0)

    def joules(self) -> float | None:
        """The GPU's energy since the trial began, without what lay between two attempts."""
        now = sample_system(self._ready.device).joules
        return self._joules_before + now - self._meter if now is not None and self._meter is not None else None

    def flags(self) -> tuple[record.MeasurementWarning, ...]:
        """What a reader should know of how these weights came about."""
        trial, accumulate = self._ready.trial, self._ready.hyperparameters.accumulate
        looks = self._watch.looks if self._watch is not None else ()
        flags = [
            record.MeasurementWarning(name=doubt.name, reason=f"training: {doubt.reason}") for doubt in doubts(looks)
        ]
        flags += rehearsal_flag(trial)
        if self._resumed:
            flags.append(
                record.MeasurementWarning(
                    name="resumed", reason=f"training was cut and went on {', then '.join(self._resumed)}"
                )
            )
        if accumulate != trial.hyperparameters.accumulate:
            flags.append(
                record.MeasurementWarning(
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
        self._joules_before = state.get("joules") or 0.0
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
        if self._watch is not None:
            self._watch.glance()
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
                "joules": self.joules(),
                "where": self._where(),
            }
            self._states.save({**state(), **own}, steps=steps)
            self._kept_at = time.monotonic()
        self._stop.check()

    def _validate(self) -> tuple[float | None, float | None]:
        ready, epoch = self._ready, self._batches.epoch
        self._read_peak()
        val = ready.data.splits["val"]
        examiner = ready.examiner(self._folder, self._speaker, self._stop.check)
        truths, found = examiner.detections(ready.deployed(), "val", val, stage="train")
        metrics = accuracy(truths, found, class_names=val.class_names, split="val")
        score = metrics.map or 0.0
        if ready.report_on == "test" and score > max(self._validated, default=-1.0):
            weights = {name: tensor.to("cpu", copy=True) for name, tensor in ready.model.state_dict().items()}
            self._best = {"epoch": epoch, "state": weights}
        self._validated.append(score)
        self._speaker.say("validation", stage="train", epoch=epoch, map=metrics.map, map_50=metrics.map_50)
        memory.reset_peak(ready.device)  # validation is not training
        return metrics.map, metrics.map_50

    def _read_peak(self) -> None:
        self.peak = memory.larger(self.peak, memory.read_peak(self._ready.device))


def rehearsal_flag(trial: Trial) -> tuple[record.MeasurementWarning, ...]:
    """Of a trial that uses only some of the images."""
    if not trial.limit:
        return ()
    return (record.MeasurementWarning(name="rehearsal", reason=f"only the first {trial.limit} images of each split"),)
