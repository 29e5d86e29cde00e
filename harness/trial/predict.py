"""Detect in images with fine-tuned weights, and draw what is found: python -m harness.trial.predict FOLDER.

The detector runs as it was evaluated: one image at a time, in the pixels that training read, at its own precision.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness import printing
from harness.data import drawing
from harness.data.pixels import read_pixels
from harness.errors import DataError
from harness.store import files
from harness.store.shipping import DETECTED, PREDICT_REQUEST, Detected, ImageDetections, Unreadable
from harness.suite.schema import Protocol
from harness.trial import environment
from harness.trial.answer import answer, load
from harness.trial.deploy.base import first_line
from harness.trial.deploy.eager import eager
from harness.trial.failure import out_of_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from harness.store.shipping import ImageTask, PredictRequest, Thresholds
    from harness.trial.deploy.base import Deployment

_TOLD_FROM = 20  # images: of fewer nobody waits for


def predict(request: PredictRequest) -> Detected:
    """Detect in each image of the request, and write the drawn copies that it asks for.

    Raises:
        TrialError: the weights cannot be used.
        MachineError: the device is not there, or the disk is full.
    """
    device = environment.choose_device(request.device)
    record = request.model.record
    protocol = Protocol() if record is None else record.trial.protocol
    precision = "fp32" if record is None else record.trial.hyperparameters.precision
    environment.prepare(device, protocol, threads=request.threads, seed=0)
    row, detector, class_names = load(request.model)
    detector.module.to(device)
    deployment = eager(detector, device=device, precision=precision)
    lowest = min(request.thresholds.of(name) for name in class_names)
    # Scores equal to the threshold count, and a detector keeps those above it.
    deployment.set_threshold(max(0.0, lowest * (1 - 1e-6)), request.detections)
    found: list[ImageDetections] = []
    unreadable: list[Unreadable] = []
    for number, task in enumerate(request.images, start=1):
        try:
            pixels = read_pixels(task.path, whole=True)
        except DataError as error:
            reason = str(error).removeprefix(f"{task.path}: ")
            unreadable.append(Unreadable(file=task.file, reason=reason))
            continue
        try:
            found.append(_detect(deployment, pixels, task, class_names, request.thresholds))
        except RuntimeError as error:  # of an image that a detector's resize would leave without a pixel, for example
            if out_of_memory(error):
                raise
            reason = f"the detector cannot take its {pixels.shape[1]} x {pixels.shape[0]} pixels: {first_line(error)}"
            unreadable.append(Unreadable(file=task.file, reason=reason))
            continue
        if task.drawn is not None:
            _draw(pixels, found[-1], Path(task.drawn))
        _tell(number, len(request.images))
    return Detected(architecture=row.name, class_names=class_names, images=tuple(found), unreadable=tuple(unreadable))


def _detect(
    deployment: Deployment,
    pixels: NDArray[np.uint8],
    task: ImageTask,
    class_names: Sequence[str],
    thresholds: Thresholds,
) -> ImageDetections:
    """The detections in one image, uint8 [H, W, 3], that reach their class's threshold, best first."""
    (detections,) = deployment.detect([torch.from_numpy(pixels.transpose(2, 0, 1).copy())])
    minimum = torch.tensor([thresholds.of(name) for name in class_names], dtype=torch.float64)
    scores, labels = detections.scores.double(), detections.labels
    kept = torch.nonzero(scores >= minimum[labels - 1]).flatten()
    kept = kept[torch.argsort(scores[kept], descending=True, stable=True)]
    numbers = labels[kept].tolist()
    return ImageDetections(
        file=task.file,
        width=pixels.shape[1],
        height=pixels.shape[0],
        boxes=tuple(tuple(box) for box in detections.boxes[kept].tolist()),
        scores=tuple(scores[kept].tolist()),
        labels=tuple(numbers),
        classes=tuple(class_names[number - 1] for number in numbers),
    )


def _draw(pixels: NDArray[np.uint8], found: ImageDetections, path: Path) -> None:
    texts = [f"{name} {score:.2f}" for name, score in zip(found.classes, found.scores, strict=True)]
    drawn = drawing.draw_detections(pixels, found.boxes, texts, found.labels)
    files.make_folder(path.parent)
    files.replace(path, drawing.encode(drawn, path.suffix))


def _tell(done: int, of: int) -> None:
    """Show how far it is, where a person looks on."""
    if of >= _TOLD_FROM and sys.stderr.isatty():
        sys.stderr.write(f"\r  {done:,} of {of:,} images" + ("\n" if done == of else ""))
        sys.stderr.flush()


if __name__ == "__main__":
    printing.protect()
    sys.exit(answer(Path(sys.argv[1]), PREDICT_REQUEST, DETECTED, predict))
