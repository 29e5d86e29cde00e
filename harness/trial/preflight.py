"""The preflight: a few of each of a trial's steps on real data, so that errors appear before the run and not during it.

The first training step uses the images that need most memory (largest after the detector's resize, most boxes), and
inference runs once at the throughput's batch size, so that a lack of memory shows here. The times are those of later,
ordinary steps: they estimate how long the trial will take, not how fast the detector is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.store.events import PreflightEvent, StageEvent
from harness.store.job import Preflight
from harness.trial.evaluate.coco import accuracy
from harness.trial.evaluate.detect import evaluate
from harness.trial.inputs.loader import check_batch, training_loader
from harness.trial.measure import protocol
from harness.trial.train import resume
from harness.trial.train.step import TrainStep

if TYPE_CHECKING:
    from harness.suite.schema import ImageSize
    from harness.trial.context import TrialContext
    from harness.trial.events import EventWriter
    from harness.trial.inputs.item import Items
    from harness.trial.inputs.loader import Key


def run_preflight(context: TrialContext, events: EventWriter, *, where: str, startup_s: float) -> Preflight:
    """Train, evaluate and run inference on a few real images; the model is changed by it and must not be used again.

    Raises:
        TrialError: this trial cannot succeed.
    """
    events.emit(StageEvent(stage="train"))
    _try_loader(context)
    events.emit(PreflightEvent(stage="train"))
    h, batches = context.hyperparameters, context.batches()
    train_step = TrainStep(context.detector, h, device=context.device, steps_per_epoch=len(batches))
    context.model.train()
    batches.begin(1)
    first = next(iter(batches))
    size = context.trial.architecture.image_size
    hardest = [(1, index) for index in most_demanding(context.data.splits["train"], h.batch_size, size)]
    step_s = 0.0
    for keys in (hardest, first):
        step_s = _time_step(context, train_step, keys)
        events.emit(PreflightEvent(stage="train", step_s=step_s))
    state_bytes = resume.size_of(train_step.state())
    train_step.optimizer.zero_grad(set_to_none=True)

    events.emit(StageEvent(stage="evaluate"))
    evaluation_s = 0.0
    for split in ("val", context.report_on):
        items = context.data.splits[split]
        started = time.perf_counter()
        deployed = context.deployed()
        deployed.set_threshold(context.trial.protocol.score_threshold, context.trial.protocol.detections)
        ground_truth, detections = evaluate(deployed.detect, [items[0]])
        evaluation_s = time.perf_counter() - started
        accuracy(ground_truth, detections, class_names=items.class_names, split=split)
        events.emit(PreflightEvent(stage="evaluate", evaluation_s=evaluation_s))
    events.emit(StageEvent(stage="measure"))
    protocol.run_batch(context.deployed(), context.evaluated, context.trial.protocol)
    epochs, validations = h.epochs or 0, (h.epochs or 0) // h.validate_every if h.validate_every else 0
    return Preflight(
        where=where,
        startup_s=startup_s,
        step_s=step_s,
        evaluation_s=evaluation_s,
        steps=epochs * len(batches),
        evaluations=validations * len(context.data.splits["val"]) + len(context.evaluated),
        images=len(context.evaluated),
        state_bytes=state_bytes,
        weights_bytes=resume.size_of(context.model.state_dict()),
        accumulate=h.accumulate,
    )


def most_demanding(items: Items, count: int, image_size: ImageSize) -> list[int]:
    """Return the numbers of the images that need most memory in one batch, after the detector's resize.

    These are the images with most boxes, the tallest, the widest and the largest. A user's Dataset has no annotations
    before it is read; its first images are returned.
    """
    annotations = items.annotations
    if annotations is None:
        return list(range(min(count, len(items))))
    sides = annotations.sizes.astype(np.float64)  # [N, 2], width and height
    scale = np.minimum(image_size.min / sides.min(axis=1), image_size.max / sides.max(axis=1))
    sides *= scale[:, None]
    boxes = np.diff(annotations.offsets)
    extremes = [int(boxes.argmax()), int(sides[:, 1].argmax()), int(sides[:, 0].argmax())]
    largest = np.argsort(-sides.prod(axis=1), kind="stable")[: count + len(extremes)].tolist()
    return list(dict.fromkeys((*extremes, *largest)))[:count]


def _try_loader(context: TrialContext) -> None:
    """Draw one batch as training will, through its worker processes; before this process has opened an image itself."""
    batches = context.batches()
    batches.begin(1)
    check_batch(next(iter(training_loader(context.training_set(), batches, context.workers))))


def _time_step(context: TrialContext, train_step: TrainStep, keys: list[Key]) -> float:
    """Do one training step, and return the seconds it would take in training, where loader processes read ahead."""
    dataset = context.training_set()
    started = time.perf_counter()
    batch = check_batch([dataset[key] for key in keys])
    read_at = time.perf_counter()
    train_step.step(batch, "the preflight's step")
    if context.device.type == "cuda":
        torch.cuda.synchronize(context.device)
    trained_s, read_s = time.perf_counter() - read_at, read_at - started
    return max(trained_s, read_s / context.workers) if context.workers else trained_s + read_s
