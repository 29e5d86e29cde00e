"""torchvision's detectors with raw outputs that say exactly what the targets say, instead of what a network would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from harness.trial.models.base import Detector

CERTAIN = 20.0  # a logit


@contextlib.contextmanager
def perfect(detector: Detector, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Iterator[None]:
    """Within the context, the network's raw outputs for these images are those of their targets.

    What lies before and behind them is the detector's own: the resize, the anchors, the labels' numbers, the
    post-processing and the way back to the pixels of the image.
    """
    model: Any = detector.module
    resized, seen = model.transform(images, [dict(target) for target in targets])
    if hasattr(model, "roi_heads"):
        labels = torch.cat([target["labels"] for target in seen])
        columns = model.roi_heads.box_predictor.cls_score.out_features
        logits = torch.full((len(labels), columns), -CERTAIN)
        logits[torch.arange(len(labels)), labels] = CERTAIN
        deltas = torch.zeros(len(labels), 4 * columns)
        with (
            patch.object(model.rpn, "forward", lambda *_: ([target["boxes"] for target in seen], {})),
            patch.object(model.roi_heads.box_predictor, "forward", lambda _features: (logits, deltas)),
        ):
            yield
        return
    original = model.head.forward

    def head(features: list[Tensor], *rest: Any) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = original(features, *rest)
        anchors = model.anchor_generator(resized, features)
        for number, (one, target) in enumerate(zip(anchors, seen, strict=True)):
            _fill(model, {name: value[number] for name, value in outputs.items()}, one, target)
        return outputs

    with patch.object(model.head, "forward", head):
        yield


def _fill(model: Any, outputs: dict[str, Tensor], anchors: Tensor, target: dict[str, Tensor]) -> None:
    """Set the outputs of one image at the anchor that is nearest to each object, and silence all others."""
    nearest = box_iou(target["boxes"], anchors).argmax(dim=1)
    assert len(set(nearest.tolist())) == len(nearest)
    outputs["cls_logits"].fill_(-CERTAIN)
    if isinstance(model, SSD):  # whose softmax has a column for the background
        outputs["cls_logits"][:, 0] = CERTAIN
        outputs["cls_logits"][nearest, 0] = -CERTAIN
    outputs["cls_logits"][nearest, target["labels"]] = CERTAIN
    if isinstance(model, FCOS):
        outputs["bbox_ctrness"].fill_(CERTAIN)
        outputs["bbox_regression"][nearest] = model.box_coder.encode(anchors[nearest], target["boxes"])
    else:
        outputs["bbox_regression"][nearest] = model.box_coder.encode_single(target["boxes"], anchors[nearest])
