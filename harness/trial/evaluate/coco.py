"""Detections on a split, and their COCO accuracy.

Accuracy is computed by hotcoco, pycocotools' algorithm in Rust, from arrays: a test holds every number within 1e-9 of
pycocotools, and another within 1e-6 of torchmetrics. torchmetrics itself is not imported: that takes as long as torch,
in each process of a trial, and its own evaluation walks over every class a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.data.crowded import COCO_DETECTIONS, find_crowded
from harness.errors import TrialError
from harness.store.record import ClassMetrics, MeasurementWarning, Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from harness.trial.evaluate.detect import Detections, GroundTruth


# Where each of COCO's numbers lies in the tables: the indices of IoU threshold and area, of area and largest number of
# detections. Areas are all, small, medium, large; numbers 1, 10, 100.
_PRECISIONS: dict[str, tuple[int | slice, int]] = {
    "map": (slice(None), 0),
    "map_50": (0, 0),
    "map_75": (5, 0),
    "map_small": (slice(None), 1),
    "map_medium": (slice(None), 2),
    "map_large": (slice(None), 3),
}
_RECALLS = {
    "mar_1": (0, 0),
    "mar_10": (0, 1),
    "mar_100": (0, 2),
    "mar_small": (1, 2),
    "mar_medium": (2, 2),
    "mar_large": (3, 2),
}
_AT_100 = 2  # the place of 100 among the largest numbers of detections


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
    most = [1, 10, COCO_DETECTIONS, *([detections] if detections > COCO_DETECTIONS else [])]
    precision, recall = _tables(truths, found, len(class_names), most)
    numbers = {key: _mean(precision[iou, :, :, area, _AT_100]) for key, (iou, area) in _PRECISIONS.items()}
    numbers |= {key: _mean(recall[:, :, area, most]) for key, (area, most) in _RECALLS.items()}
    per_class = {
        name: ClassMetrics(map=_mean(precision[:, :, column, 0, _AT_100]), mar_100=_mean(recall[:, column, 0, _AT_100]))
        for column, name in enumerate(class_names)
    }
    largest = max((int((~truth.crowds).sum()) for truth in truths), default=0)
    if detections > COCO_DETECTIONS and largest > COCO_DETECTIONS:
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


def _tables(
    truths: Sequence[GroundTruth], found: Sequence[Detections], classes: int, most: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The tables that pycocotools accumulates, with -1 where nothing is known.

    Args:
        truths: the labels of each image.
        found: the detections in each image.
        classes: the number of classes.
        most: the largest numbers of an image's detections of a class that count.

    Returns:
        Precision [IoU threshold, recall, class, area, number of detections] and recall [IoU threshold, class, area,
        number of detections].
    """
    from hotcoco import COCO, COCOeval  # which a trial that fails early need not wait for

    in_image = np.repeat(np.arange(len(truths)), [len(truth.labels) for truth in truths])
    labelled = COCO.from_arrays(
        [{"id": image} for image in range(len(truths))],
        [{"id": label, "name": str(label)} for label in range(1, classes + 1)],
        in_image,
        _joined([truth.labels for truth in truths], ()).astype(np.int64),
        _xywh([truth.boxes for truth in truths]),
        area=_joined([truth.areas for truth in truths], ()),
        iscrowd=_joined([truth.crowds for truth in truths], ()).astype(np.int64),
    )
    of_image = np.repeat(np.arange(len(found)), [len(one.labels) for one in found])
    columns = (
        of_image,
        _xywh([one.boxes for one in found]),
        _joined([one.scores for one in found], ()),
        _joined([one.labels for one in found], ()),
    )
    evaluation = COCOeval(labelled, labelled.load_res(np.column_stack(columns)), "bbox")
    parameters = evaluation.params
    parameters.max_dets = most
    evaluation.params = parameters
    evaluation.evaluate()
    evaluation.accumulate()
    tables = evaluation.eval
    assert tables is not None
    return tables["precision"], tables["recall"]


def _joined(parts: Sequence[Tensor], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The tensors of all images behind each other; `shape` is that of one entry."""
    return np.concatenate([np.zeros((0, *shape)), *(part.numpy().astype(np.float64) for part in parts)])


def _xywh(boxes: Sequence[Tensor]) -> NDArray[np.float64]:
    """Boxes [N, 4], xyxy, of all images as corner and sides."""
    joined = _joined([part.reshape(-1, 4) for part in boxes], (4,))
    return np.hstack((joined[:, :2], joined[:, 2:] - joined[:, :2]))


def _mean(values: NDArray[np.float64]) -> float | None:
    """The mean of what is known; None if nothing is."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None
