"""Detectors of transformers with raw outputs that say exactly what the targets say, instead of what a network would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from harness.trial.models.base import Detector
from harness.trial.models.transformers import pixels
from harness.trial.models.transformers.detector import TransformersDetector

CERTAIN = 20.0  # a logit


@contextlib.contextmanager
def perfect(detector: Detector, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]) -> Iterator[None]:
    """Within the context, the network's raw outputs for these images are those of their targets.

    They are the labels as the library's losses take them, from the conversion that training has.
    """
    assert isinstance(detector, TransformersDetector)
    labels = pixels.labels(images, targets, detector._covered(detector._batch(images, 1.0)))
    original = detector.module.forward

    def forward(**inputs: Any) -> Any:
        outputs = original(**inputs)
        outputs.logits = torch.full_like(outputs.logits, -CERTAIN)
        if detector._softmax:  # whose last column is for queries that find nothing
            outputs.logits[..., -1] = CERTAIN
        for logits, boxes, label in zip(outputs.logits, outputs.pred_boxes, labels, strict=True):
            for query, (number, box) in enumerate(zip(label["class_labels"], label["boxes"], strict=True)):
                logits[query] = -CERTAIN
                logits[query, number] = CERTAIN
                boxes[query] = box
        return outputs

    with patch.object(detector.module, "forward", forward):
        yield
