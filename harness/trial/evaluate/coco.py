"""Detections on a split, and their COCO accuracy.

Accuracy is torchmetrics' MeanAveragePrecision over faster_coco_eval, with the recall and IoU thresholds given as
pycocotools computes them, in float64: torchmetrics' own defaults are float32 and off by up to 2e-4. Annotation ids
start at 1 inside torchmetrics (0 would count as unmatched). A test holds every number within 1e-6 of pycocotools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from harness.data.crowded import COCO_DETECTIONS, find_crowded
from harness.errors import TrialError
from harness.store.record import ClassMetrics, MeasurementWarning, Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.trial.evaluate.detect import Detections, GroundTruth


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


def accuracy(
    truths: Sequence[GroundTruth],
    found: Sequence[Detections],
    *,
    class_names: Sequence[str],
    split: str,
    detections: int = COCO_DETECTIONS,
) -> Metrics:
    """COCO's twelve numbers and each class' own, from detections and labels of the same images.

    Args:
        truths: the labels of each image.
        found: the detections in each image.
        class_names: the name of each label, from label 1.
        split: the split's name.
        detections: how many detections of an image the protocol keeps, for `map_at_detections`.

    Raises:
        TrialError: a detection has the label of no class.
    """
    labels = torch.cat([one.labels for one in found]) if found else torch.ones(1, dtype=torch.int64)
    if len(labels) and (int(labels.min()) < 1 or int(labels.max()) > len(class_names)):
        raise TrialError(
            f"detections have labels {int(labels.min())} to {int(labels.max())}, expected 1 to {len(class_names)}: "
            "the architecture counts its classes otherwise; `harness check-architecture` shows what it does"
        )
    computed = _compute(truths, found, [1, 10, COCO_DETECTIONS])
    numbers = {key: _known(float(computed[key])) for key in _KEYS}
    per_class = dict.fromkeys(class_names, ClassMetrics(map=None, mar_100=None))
    # precision: [IoU, recall, class, area, max detections]; recall: [IoU, class, area, max detections]; -1 is no value.
    # Their classes are those that occur, in order. This saves torchmetrics' own second evaluation of every class.
    for column, label in enumerate(computed["classes"].reshape(-1).tolist()):
        per_class[class_names[label - 1]] = ClassMetrics(
            map=_mean(computed["precision"][:, :, column, 0, -1]), mar_100=_mean(computed["recall"][:, column, 0, -1])
        )
    largest = max((int((~truth.crowds).sum()) for truth in truths), default=0)
    if detections > COCO_DETECTIONS and largest > COCO_DETECTIONS:
        precision = _compute(truths, found, [1, COCO_DETECTIONS, detections])["precision"]
        numbers["map_at_detections"] = _mean(precision[:, :, :, 0, -1])
    return Metrics(split=split, images=len(truths), per_class=per_class, **numbers)


def detections_capped(truths: Sequence[GroundTruth], *, detections: int) -> tuple[MeasurementWarning, ...]:
    """Return the warning `detections_capped` if images hold more objects than `map` counts.

    Args:
        truths: the labels of each image.
        detections: how many detections of an image the protocol keeps.
    """
    labels = [truth.labels[~truth.crowds].numpy() for truth in truths]
    if not labels:
        return ()
    image_of = np.repeat(np.arange(len(labels)), [len(of_image) for of_image in labels])
    crowded = find_crowded(image_of, np.concatenate(labels), images=len(labels), detections=detections)
    return (MeasurementWarning(name="detections_capped", reason=str(crowded)),) if crowded else ()


def _compute(
    truths: Sequence[GroundTruth], found: Sequence[Detections], max_detections: list[int]
) -> dict[str, Tensor]:
    """Return what torchmetrics computes, with its tables of precision and recall at each of `max_detections`."""
    from torchmetrics.detection import MeanAveragePrecision  # a second, which a trial that fails early need not wait

    metric = MeanAveragePrecision(
        iou_thresholds=_IOU_THRESHOLDS,
        rec_thresholds=_RECALL_THRESHOLDS,
        max_detection_thresholds=max_detections,
        extended_summary=True,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False  # `detections_capped` says it, with how much it matters
    metric.update(
        [{"boxes": d.boxes, "scores": d.scores, "labels": d.labels} for d in found],
        [{"boxes": t.boxes, "labels": t.labels, "iscrowd": t.crowds.to(torch.int64), "area": t.areas} for t in truths],
    )
    computed: dict[str, Tensor] = metric.compute()
    return computed


def _known(value: float) -> float | None:
    return value if value >= 0 else None


def _mean(values: Tensor) -> float | None:
    known = values[values >= 0].double()
    return float(known.mean()) if known.numel() else None
