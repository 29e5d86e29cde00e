"""Networks as users write them: one that is right, and ways to get it wrong, each a function `build` with a switch."""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Four numbers for each class of the whole image: too little to learn from, and enough to be checked."""

    def __init__(self, classes: int, wrong: str) -> None:
        super().__init__()
        self.classes, self.wrong = classes, wrong
        self.scale = nn.Conv2d(3, classes * 5, 3)
        self.unused = nn.Linear(2, 2) if wrong == "unused" else None
        self.calls = 0

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        outputs = [self.scale(image[None]).mean(dim=(2, 3)).reshape(self.classes, 5) for image in images]
        self.calls += 1
        if targets is not None:
            return self._losses(outputs, targets)
        if self.wrong == "crash":
            os.abort()
        if self.wrong == "hang":
            time.sleep(1000)
        if self.wrong == "count":
            return []
        return [self._found(output, image) for output, image in zip(outputs, images, strict=True)]

    def _losses(self, outputs: list[Tensor], targets: list[dict[str, Tensor]]) -> Any:
        loss = torch.stack([output.square().sum() for output in outputs]).sum()
        if self.wrong == "random":
            loss = loss + (int.from_bytes(os.urandom(2), "big") / 2**15 - 1) * outputs[0].sum()
        if self.wrong == "hidden state":
            loss = loss * self.calls
        boxes = sum(len(target["boxes"]) for target in targets)
        return {
            "list": [loss],
            "per image": {"loss": torch.stack([output.sum() for output in outputs])},
            "NaN without boxes": {"loss": loss / boxes if boxes else loss * float("nan")},
            "detached": {"loss": torch.tensor(1.0)},
        }.get(self.wrong, {"loss": loss, "other": loss * 0.5})

    def _found(self, output: Tensor, image: Tensor) -> Any:
        height, width = image.shape[1:]
        scores, order = output[:, 4].sigmoid().sort(descending=self.wrong != "unsorted")
        halves = output[order, :4].sigmoid() * 0.5
        x, y = (torch.stack((halves[:, i], 1 - halves[:, i + 2]), dim=1) * n for i, n in ((0, width), (1, height)))
        boxes = torch.stack((x, y), dim=2).flatten(1)
        labels = order + (0 if self.wrong == "label 0" else 1)
        if self.wrong == "keys":
            return {"boxes": boxes, "scores": scores}
        if self.wrong == "fractions":
            boxes = boxes / torch.tensor([width, height, width, height])
        if self.wrong == "outside":
            boxes = boxes + 1000
        if self.wrong == "xywh":
            boxes = boxes.flip(dims=(1,))
        return {
            "boxes": boxes,
            "scores": scores * (10 if self.wrong == "above 1" else 1),
            "labels": labels.float() if self.wrong == "float labels" else labels,
        }


def build(*, num_classes: int, image_size: tuple[int, int], wrong: str = "") -> nn.Module:
    assert len(image_size) == 2
    if wrong == "raises":
        raise RuntimeError("the third layer is missing")
    return Small(num_classes - 1, wrong) if wrong != "no module" else object()  # type: ignore[return-value]


def build_with_weights(*, num_classes: int, image_size: tuple[int, int], weights: str | None = None) -> nn.Module:
    module = Small(num_classes - 1, "")
    if weights == "default":
        nn.init.constant_(module.scale.weight, 0.25)
    return module


def build_without_size(num_classes: int) -> nn.Module:
    return Small(num_classes - 1, "")


NUMBER = 3
