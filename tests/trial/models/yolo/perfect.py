"""libreyolo's networks with raw outputs that say exactly what the targets say, instead of what a network would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest.mock import patch

import torch
from torch import Tensor

from harness.trial.models.base import Detector
from harness.trial.models.yolo.detector import YoloDetector
from harness.trial.models.yolo.yolo9 import Yolo9

CERTAIN = 20.0  # a logit
STRIDE = 8  # of the finest level


@contextlib.contextmanager
def perfect(detector: Detector, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Iterator[None]:
    """Within the context, the network's raw outputs for these images are those of their targets.

    Objects are said by the location of the finest level that their centre lies in; all others say nothing.
    """
    assert isinstance(detector, YoloDetector)
    network = detector._network
    places, _ = detector._batch(images, detector._size)
    original = network.maps
    first = 4 * network.module.head.reg_max if isinstance(network, Yolo9) else 5

    def maps(batch: Tensor) -> list[Tensor]:
        outputs = original(batch)
        for level in outputs:
            level[:, first - (not isinstance(network, Yolo9)) :] = -CERTAIN
        for output, place, target in zip(outputs[0], places, targets, strict=True):
            for box, label in zip(place.into(target["boxes"]) / STRIDE, target["labels"], strict=True):
                column, row = ((box[:2] + box[2:]) / 2).long().tolist()
                if isinstance(network, Yolo9):
                    output[:first, row, column] = _distances(box, column + 0.5, row + 0.5, first // 4)
                else:
                    output[:2, row, column] = (box[:2] + box[2:]) / 2 - torch.tensor([column, row])
                    output[2:4, row, column] = (box[2:] - box[:2]).log()
                    output[4, row, column] = CERTAIN
                output[first + int(label) - 1, row, column] = CERTAIN
        return outputs

    with patch.object(network, "maps", maps):
        yield


def _distances(box: Tensor, x: float, y: float, bins: int) -> Tensor:
    """The logits of four distributions over whole numbers of strides, whose means are the distances to the sides."""
    logits = torch.full((4, bins), -50.0)
    for side, distance in enumerate((x - box[0], y - box[1], box[2] - x, box[3] - y)):
        low = int(distance)
        logits[side, low] = (1 - (distance - low)).clamp(min=1e-9).log()
        logits[side, low + 1] = (distance - low).clamp(min=1e-9).log()
    return logits.flatten()
