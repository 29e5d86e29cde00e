"""The preflight: a few of each of a trial's steps on real data, so that errors appear before the run and not during it.

The first training step is that of the smallest batch of an epoch, with the smallest images: batch normalisation may see
too little of them. The second uses the images that need most memory (largest after the detector's resize, most boxes),
and inference runs once at the throughput's batch size, so that a lack of memory shows here. The times are those of
later, ordinary steps: they estimate how long the trial will take, not how fast the detector is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.data.resize import resized
from harness.errors import DataError, TrialError
from harness.store.events import ItemsReadEvent, PreflightEvent, StageEvent
from harness.store.job import ItemsRead, Preflight
from harness.trial.evaluate.coco import accuracy
from harness.trial.evaluate.detect import evaluate
from harness.trial.inputs.loader import check_batch, smallest_part, training_loader
from harness.trial.inputs.read_items import joined, read_items
from harness.trial.inputs.user_dataset import UserItems
from harness.trial.measure import protocol
from harness.trial.train import resume
from harness.trial.train.length import training_length
from harness.trial.train.step import TrainStep
from harness.trial.train.validate import validation_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.suite.schema import ImageSize
    from harness.trial.context import TrialContext
    from harness.trial.events import EventWriter
    from harness.trial.inputs.loader import Key

_KEPT = 1024  # items; more than fit in a batch
_SINGLE_VALUE = "more than 1 value per channel"  # torch.nn.functional.batch_norm's words


def run_preflight(
    context: TrialContext, events: EventWriter, *, where: str, startup_s: float, items: ItemsRead | None = None
) -> Preflight:
    """Train, evaluate and run inference on a few real images; the model is changed by it and must not be used again.

    Args:
        context: the trial.
        events: receives what is done.
        where: the name of this environment.
        startup_s: the seconds that the process took to come so far.
        items: what an earlier preflight read of the same user's Dataset; None: its items are read now.

    Raises:
        TrialError: this trial cannot succeed.
    """
    events.emit(StageEvent(stage="train"))
    _try_loader(context)
    events.emit(PreflightEvent(stage="train"))
    items = _read_items(context, events) if items is None else items
    largest, smallest = _extremes(context, items)
    h, batches = context.hyperparameters, context.batches()
    length = training_length(h, batches)
    train_step = TrainStep(context.detector, h, device=context.device, epoch_steps=length.epoch_steps(batches))
    train_step.train_mode()
    batches.begin(1)
    first = next(iter(batches))
    hardest = [(1, index) for index in largest[: h.batch_size]]
    step_s = 0.0
    low, high = h.augmentation.multiscale or (None, None)
    easiest = _smallest_batch(batches.lengths(length.known_epochs), smallest, h.accumulate)
    for keys, scale in ((easiest, low), (hardest, high), (first, None)):
        step_s = _time_step(context, train_step, keys, scale)
        events.emit(PreflightEvent(stage="train", step_s=step_s))
    state_bytes = resume.size_of(train_step.state())
    train_step.finish()

    events.emit(StageEvent(stage="evaluate"))
    evaluation_s = validation_s = 0.0
    for split in ("val", context.report_on):
        evaluated = context.data.splits[split]
        started = time.perf_counter()
        deployed = context.deployed()
        deployed.set_threshold(context.trial.protocol.score_threshold, context.trial.protocol.detections)
        ground_truth, detections = evaluate(deployed.detect, [evaluated[0]])
        evaluation_s = time.perf_counter() - started
        if split == "val" and h.validate_every:
            first_val = [evaluated[0]]
            validation_loss(context.detector, first_val, batch_size=1, device=context.device, precision=h.precision)
            validation_s = time.perf_counter() - started
        accuracy(ground_truth, detections, class_names=evaluated.class_names, split=split)
        events.emit(PreflightEvent(stage="evaluate", evaluation_s=evaluation_s))
    events.emit(StageEvent(stage="measure"))
    protocol.run_batch(context.deployed(), context.evaluated, context.trial.protocol)
    validated_s = len(context.data.splits["val"]) * validation_s
    steps, validations = length.expected(batches, step_s=step_s, validation_s=validated_s)
    return Preflight(
        where=where,
        startup_s=startup_s,
        step_s=step_s,
        evaluation_s=evaluation_s,
        steps=steps,
        # A validation's image takes longer: its loss is computed, too.
        evaluations=round(validations * validated_s / evaluation_s) + len(context.evaluated),
        images=len(context.evaluated),
        state_bytes=state_bytes,
        weights_bytes=resume.size_of(context.model.state_dict()),
        accumulate=h.accumulate,
        items=items,
    )


def _read_items(context: TrialContext, events: EventWriter) -> ItemsRead | None:
    """Read the items of a user's Dataset, as far as time allows; None where the annotations tell what is in them.

    Raises:
        DataError: items cannot be used; the text names them all.
    """
    splits = {name: items for name, items in context.data.splits.items() if isinstance(items, UserItems)}
    if not splits:
        return None
    events.emit(StageEvent(stage="data"))
    image_size = context.trial.architecture.image_size
    found = read_items(
        splits,
        (image_size,),
        workers=context.workers,
        on_item=lambda: events.progress(PreflightEvent(stage="data")),
    )
    read, of = sum(split.read for split in found.values()), sum(map(len, splits.values()))
    events.emit(ItemsReadEvent(read=read, of=of))
    problems = [problem for split in found.values() for problem in split.problems]
    problems += [DataError(split.empty) for split in found.values() if split.empty]
    if problems:
        raise joined(problems)
    train = found["train"]
    known = np.flatnonzero(train.sizes[:, 0])
    sizes, boxes = train.sizes[known], train.boxes[known]
    return ItemsRead(
        read=read,
        of=of,
        largest=tuple(known[most_demanding(sizes, boxes, image_size)[:_KEPT]].tolist()),
        smallest=tuple(known[least_demanding(sizes, image_size)[:_KEPT]].tolist()),
    )


def _extremes(context: TrialContext, items: ItemsRead | None) -> tuple[list[int], list[int]]:
    """Return all training images, those first that need most memory; and those first that are smallest."""
    train, image_size = context.data.splits["train"], context.trial.architecture.image_size
    if train.annotations is not None:
        sizes, boxes = train.annotations.sizes, np.diff(train.annotations.offsets)
        return most_demanding(sizes, boxes, image_size), least_demanding(sizes, image_size)
    every = range(len(train))
    read = (items.largest, items.smallest) if items is not None else ((), ())
    largest, smallest = (list(dict.fromkeys((*first, *every))) for first in read)
    return largest, smallest


def _smallest_batch(lengths: set[int], smallest: Sequence[int], accumulate: int) -> list[Key]:
    """Return a batch of one of these lengths of which the last part is smallest, the smallest images in that part."""
    n_images = min(lengths, key=lambda length: smallest_part(length, accumulate))
    return [(1, index) for index in reversed(smallest[:n_images])]


def most_demanding(sizes: NDArray[np.integer], boxes: NDArray[np.integer], image_size: ImageSize) -> list[int]:
    """Return the numbers of all images, those first that need most memory in one batch, after the detector's resize.

    These are the images with most boxes, the tallest and the widest, then the largest.

    Args:
        sizes: [I, 2], (width, height) in pixels.
        boxes: [I], the number of boxes.
        image_size: the detector's resize.
    """
    sides = resized(sizes, image_size)
    extremes = [int(boxes.argmax()), int(sides[:, 1].argmax()), int(sides[:, 0].argmax())]
    largest = np.argsort(-sides.prod(axis=1), kind="stable").tolist()
    return list(dict.fromkeys((*extremes, *largest)))


def least_demanding(sizes: NDArray[np.integer], image_size: ImageSize) -> list[int]:
    """Return the numbers of all images, those first whose longer side is shortest after the detector's resize."""
    order: list[int] = np.argsort(resized(sizes, image_size).max(axis=1), kind="stable").tolist()
    return order


def _try_loader(context: TrialContext) -> None:
    """Draw one batch as training will, through its worker processes; before this process has opened an image itself."""
    batches = context.batches()
    batches.begin(1)
    check_batch(next(iter(training_loader(context.training_set(), batches, context.workers))))


def _time_step(context: TrialContext, train_step: TrainStep, keys: list[Key], scale: float | None) -> float:
    """Do one training step, and return the seconds it would take in training, where loader processes read ahead.

    Args:
        scale: of the images in multi-scale training; None: drawn at random.
    """
    dataset = context.training_set()
    started = time.perf_counter()
    batch = check_batch([dataset[key] for key in keys])
    read_at = time.perf_counter()
    try:
        train_step.step(batch, "the preflight's step", scale=scale)
    except ValueError as error:
        if _SINGLE_VALUE not in str(error):
            raise
        raise TrialError(_single_value_text(context, len(batch), error)) from error
    if context.device.type == "cuda":
        torch.cuda.synchronize(context.device)
    trained_s, read_s = time.perf_counter() - read_at, read_at - started
    return max(trained_s, read_s / context.workers) if context.workers else trained_s + read_s


def _single_value_text(context: TrialContext, n_images: int, error: ValueError) -> str:
    """Say which batch leaves batch normalisation a single value a channel, and how to avoid it."""
    h, images = context.hyperparameters, len(context.data.splits["train"])
    parts = f", each in {h.accumulate} parts" if h.accumulate > 1 else ""
    sizes = (size for size in (*range(h.batch_size - 1, 1, -1), *range(h.batch_size + 1, images + 1)))
    better = next((size for size in sizes if size % h.accumulate == 0 and _shortest(context, size) > 1), None)
    advice = f"such as batch_size: {better}" if better else "with more images"
    advice += "" if context.row.fixed_size else ", or a larger image_size"
    return (
        f"the smallest batch of training ends in a single image ({n_images} of the {images} images, in batches of "
        f"{h.batch_size}{parts}), which is so small after the resize that batch normalisation has one value a channel: "
        f"{error}; choose batches that do not end in a single image, {advice}"
    )


def _shortest(context: TrialContext, batch_size: int) -> int:
    h, batches = context.hyperparameters, context.batches(batch_size)
    lengths = batches.lengths(training_length(h, batches).known_epochs)
    return min(smallest_part(length, h.accumulate) for length in lengths)
