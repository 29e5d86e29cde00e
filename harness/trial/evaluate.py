"""Detections on a split, and their COCO accuracy.

Accuracy is torchmetrics' MeanAveragePrecision over faster_coco_eval, with the recall and IoU thresholds given as
pycocotools computes them, in float64: torchmetrics' own defaults are float32 and off by up to 2e-4. Annotation ids
start at 1 inside torchmetrics (0 would count as unmatched). A test holds every number within 1e-6 of pycocotools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from harness.store.record import ClassMetrics, Metrics
from harness.trial.finetune import autocast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.trial.dataset import Item

_IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10).tolist()
_RECALL_THRESHOLDS = np.linspace(0, 1, 101).tolist()
_KEYS = (
    "map",
    "map_50",
    "map_75",
    "map_small",
    "map_medium",
    "map_large",
    "mar_1",
    "mar_10",
    "mar_100",
    "mar_small",
    "mar_medium",
    "mar_large",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What a detector found in one image, on the CPU.

    Attributes:
        boxes: float32 [N, 4], xyxy, pixels of the image as given.
        scores: float32 [N].
        labels: int64 [N], from 1.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The labels of one evaluated image: `Item` without its pixels."""

    name: str
    boxes: Tensor
    labels: Tensor
    crowds: Tensor
    areas: Tensor


def detect(
    model: nn.Module,
    images: Sequence[Tensor],
    *,
    device: torch.device,
    precision: str,
    dtype: torch.dtype = torch.float32,
) -> tuple[Detections, ...]:
    """Run the detector on a batch of images float32 [3, H, W]; the result on the CPU means the device has finished.

    Args:
        dtype: what the whole model was converted to; `precision` is autocast's.
    """
    with torch.inference_mode(), autocast(device, precision):
        outputs = model([image.to(device, dtype, non_blocking=True) for image in images])
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
) -> tuple[tuple[Truth, ...], tuple[Detections, ...]]:
    """Detect image by image, as deployed: in a batch, padding to the largest image would change the features.

    Args:
        on_image: told how many images are done, after each.
    """
    truths: list[Truth] = []
    found: list[Detections] = []
    for item in items:
        found.extend(run([item.image]))
        # Cloned: a tensor from a worker process holds a file descriptor for as long as it lives.
        truths.append(
            Truth(
                name=item.name,
                boxes=item.boxes.clone(),
                labels=item.labels.clone(),
                crowds=item.crowds.clone(),
                areas=item.areas.clone(),
            )
        )
        on_image(len(truths))
    return tuple(truths), tuple(found)


def accuracy(
    truths: Sequence[Truth], found: Sequence[Detections], *, class_names: Sequence[str], split: str
) -> Metrics:
    """COCO's twelve numbers and each class' own, from detections and labels of the same images."""
    from torchmetrics.detection import MeanAveragePrecision  # a second, which a trial that fails early need not wait

    metric = MeanAveragePrecision(
        iou_thresholds=_IOU_THRESHOLDS,
        rec_thresholds=_RECALL_THRESHOLDS,
        max_detection_thresholds=[1, 10, 100],
        extended_summary=True,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False  # that only the best 100 of an image count is COCO's definition
    metric.update(
        [{"boxes": d.boxes, "scores": d.scores, "labels": d.labels} for d in found],
        [{"boxes": t.boxes, "labels": t.labels, "iscrowd": t.crowds.to(torch.int64), "area": t.areas} for t in truths],
    )
    computed = metric.compute()
    numbers = {key: _known(float(computed[key])) for key in _KEYS}
    per_class = dict.fromkeys(class_names, ClassMetrics(map=None, mar_100=None))
    # precision: [IoU, recall, class, area, max detections]; recall: [IoU, class, area, max detections]; -1 is no value.
    # Their classes are those that occur, in order. This saves torchmetrics' own second evaluation of every class.
    for column, label in enumerate(computed["classes"].reshape(-1).tolist()):
        per_class[class_names[label - 1]] = ClassMetrics(
            map=_mean(computed["precision"][:, :, column, 0, -1]), mar_100=_mean(computed["recall"][:, column, 0, -1])
        )
    return Metrics(split=split, images=len(truths), per_class=per_class, **numbers)


def _known(value: float) -> float | None:
    return value if value >= 0 else None


def _mean(values: Tensor) -> float | None:
    known = values[values >= 0].double()
    return float(known.mean()) if known.numel() else None
