"""Detections on a split of the data, image by image, as deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.trial.inputs.item import as_float
from harness.trial.precision import autocast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.trial.inputs.item import Item
    from harness.trial.models.base import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """The detections in one image, on the CPU.

    Attributes:
        boxes: float32 [N, 4], xyxy, pixels of the image as given.
        scores: float32 [N].
        labels: int64 [N], from 1.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """The labels of one evaluated image: `Item` without its pixels."""

    name: str
    boxes: Tensor
    labels: Tensor
    crowds: Tensor
    areas: Tensor


def detect(
    detector: Detector,
    images: Sequence[Tensor],
    *,
    device: torch.device,
    precision: str,
    dtype: torch.dtype = torch.float32,
) -> tuple[Detections, ...]:
    """Run the detector on a batch of images; when the detections are on the CPU the device has finished.

    Args:
        images: each [3, H, W], RGB; float32 from 0 to 1, or uint8, which becomes float on the device.
        precision: fp32, or the floating-point type of autocast.
        dtype: the floating-point type of the detector's weights.
    """
    with torch.inference_mode(), autocast(device, precision):
        moved = [as_float(image.to(device, non_blocking=True)).to(dtype) for image in images]
        outputs = detector.detect(moved)
    return tuple(
        Detections(
            boxes=output["boxes"].float().cpu(), scores=output["scores"].float().cpu(), labels=output["labels"].cpu()
        )
        for output in outputs
    )


def evaluate(
    run: Callable[[Sequence[Tensor]], tuple[Detections, ...]],
    items: Iterable[Item],
    *,
    on_image: Callable[[int], None] = lambda _done: None,
) -> tuple[tuple[GroundTruth, ...], tuple[Detections, ...]]:
    """Detect image by image, as deployed: in a batch, padding to the largest image would change the features.

    Args:
        on_image: called after each image with the number of images done.
    """
    truths: list[GroundTruth] = []
    found: list[Detections] = []
    for item in items:
        found.extend(run([item.image]))
        # Cloned: a tensor from a worker process holds a file descriptor for as long as it lives.
        truths.append(
            GroundTruth(
                name=item.name,
                boxes=item.boxes.clone(),
                labels=item.labels.clone(),
                crowds=item.crowds.clone(),
                areas=item.areas.clone(),
            )
        )
        on_image(len(truths))
    return tuple(truths), tuple(found)
