"""A family of its own: a detector of three convolutions that finds the centres of objects (as in arXiv:1904.07850).

Every image is stretched to a square. In each cell of 4 × 4 pixels the network says, for each class, how likely the
centre of an object lies there, where in the cell it is, and how wide and high the object is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.suite.catalog.architecture import Architecture
from harness.suite.schema import ImageSize
from harness.trial.models import state as states
from harness.trial.models.base import Detector, Head

STRIDE = 4


class ToyDetector(Detector):
    def __init__(self, classes: int, side: int, channels: int) -> None:
        head = nn.Conv2d(2 * channels, classes + 4, 5, padding=2)
        self.module = nn.Sequential(
            nn.Conv2d(3, channels, 7, stride=2, padding=3),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 5, stride=2, padding=2),
            nn.ReLU(),
            head,
        )
        nn.init.constant_(head.bias[:classes], -3.0)  # type: ignore[index] # at first almost nothing is a centre
        self._network: Callable[[Tensor], Tensor] = self.module
        self._classes, self._side = classes, side
        self._threshold, self._detections = 0.05, 100
        self._mark: Callable[[], None] = lambda: None

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        """The focal loss of the centres; the L1 losses of where they lie in their cells, and of the sizes."""
        logits, offsets, sizes = self._outputs(self._batch(images))
        truth = torch.zeros_like(logits)
        number = torch.cat([torch.full_like(target["labels"], n) for n, target in enumerate(targets)])
        scales = [self._side / STRIDE / torch.tensor([i.shape[2], i.shape[1]], device=i.device) for i in images]
        boxes = torch.cat([t["boxes"].reshape(-1, 2, 2) * scale for t, scale in zip(targets, scales, strict=True)])
        labels = torch.cat([target["labels"] for target in targets])
        centres, true_sizes = boxes.mean(dim=1), boxes[:, 1] - boxes[:, 0]  # in cells, x and y
        x, y = centres.long().clamp(0, self._side // STRIDE - 1).unbind(dim=1)
        truth[number, labels - 1, y, x] = 1.0
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        wrongness = (truth - logits.sigmoid()).abs() ** 2
        count = max(1, len(labels))
        return {
            "loss_centre": (wrongness * cross_entropy).sum() / count,
            "loss_offset": (offsets[number, :, y, x] - (centres - torch.stack((x, y), dim=1))).abs().sum() / count,
            "loss_size": (sizes[number, :, y, x] - true_sizes).abs().sum() / count,
        }

    def detect(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        batch = self._batch(images)
        self._mark()
        outputs = self._outputs(batch)
        self._mark()
        return [self._boxes(image, *(o[n] for o in outputs)) for n, image in enumerate(images)]

    def _boxes(self, image: Tensor, logits: Tensor, offsets: Tensor, sizes: Tensor) -> dict[str, Tensor]:
        """The cells that are more likely a centre than their neighbours, as boxes."""
        peaks = logits * (functional.max_pool2d(logits[None], 3, 1, 1)[0] == logits) - 100.0 * (
            functional.max_pool2d(logits[None], 3, 1, 1)[0] != logits
        )
        cells = self._side // STRIDE
        scores, index = peaks.flatten().sigmoid().topk(min(self._detections, peaks.numel()))
        index, scores = index[scores > self._threshold], scores[scores > self._threshold]
        cell = index % cells**2
        centres = torch.stack((cell % cells, cell // cells), dim=1) + offsets.flatten(1)[:, cell].T
        half = sizes.flatten(1)[:, cell].T.clamp(min=0.1) / 2
        x, y = image.shape[2] / cells, image.shape[1] / cells
        edges = torch.cat((centres - half, centres + half), dim=1)
        boxes = torch.stack((edges[:, 0] * x, edges[:, 1] * y, edges[:, 2] * x, edges[:, 3] * y), dim=1)
        return {"boxes": boxes, "scores": scores, "labels": index // cells**2 + 1}

    def _batch(self, images: list[Tensor]) -> Tensor:
        size = (self._side, self._side)
        return torch.cat([functional.interpolate(image[None], size, mode="bilinear") for image in images]) - 0.5

    def _outputs(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of the centres, their offsets in the cell, and the sizes in cells: [N, …, cells, cells] each."""
        outputs = self._network(batch).float()
        return outputs[:, : self._classes], outputs[:, self._classes : -2].sigmoid(), outputs[:, -2:]

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        self._threshold, self._detections = score_threshold, detections

    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        before, self._mark = self._mark, mark
        yield
        self._mark = before

    def structure(self) -> Mapping[str, Any]:
        return {}  # the options say it all

    def use_channels_last(self) -> None:
        self.module.to(memory_format=torch.channels_last)

    def use_compiled(self) -> str:
        self._network = torch.compile(self.module, fullgraph=True)
        return "three convolutions"


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, int]
) -> tuple[ToyDetector, Head]:
    detector = ToyDetector(classes, image_size.max, options.get("channels", 16))
    if weights == "none":
        return detector, "new"
    states.load_into(detector.module, states.read(Path(weights)).get("state_dict", {}), weights)
    return detector, "kept"


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, int],
) -> ToyDetector:
    detector, _ = build(row, weights="none", classes=classes, image_size=image_size, options=options)
    states.load_into(detector.module, state, f"the state dict of {row.name}")
    return detector
