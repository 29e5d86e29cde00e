"""A detector of transformers as the rest of the program uses it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, cast

import torch

from harness.trial.models.base import Detector
from harness.trial.models.transformers import network, pixels
from harness.trial.models.transformers import outputs as raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from harness.trial.models.transformers.pixels import Preparation

_SOFTMAX = {"detr", "yolos"}  # one query is one class or none; the others have a sigmoid for each class
_SCALE_STEP = 0.05  # by which a training scale is raised that leaves too few places
_WHOLE_BATCH = {"yolos"}  # places are those in the padded batch, for no mask tells the network where it ends


class TransformersDetector(Detector):
    """A network for object detection with its labels from 0, and its boxes as (cx, cy, w, h) from 0 to 1."""

    def __init__(self, module: nn.Module, preparation: Preparation) -> None:
        self.module = module
        self.config = cast("Any", module).config
        self._preparation = preparation
        self._model_type = str(self.config.model_type)
        self._softmax = self._model_type in _SOFTMAX
        self._scale = 1.0
        self._score_threshold, self._limit = 0.0, 100
        self._mark: Callable[[], None] | None = None
        self._channels_last = False

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        """See `Detector.losses`; the library's own matching and losses, each part over all layers of the decoder."""
        batch = self._batch(images, self._scale)
        labels = pixels.labels(images, targets, self._covered(batch))
        outputs = self.module(pixel_values=batch.pixels, labels=labels, **_mask(batch))
        return raw.loss_parts(self.config, outputs)

    def detect(self, images: list[Tensor]) -> Sequence[Mapping[str, Tensor]]:
        """See `Detector.detect`; there is no suppression of overlaps, for a DETR needs none."""
        batch = self._batch(images, 1.0)
        self._at_boundary()
        outputs = self.module(pixel_values=batch.pixels, **_mask(batch))
        self._at_boundary()
        return raw.detections(
            outputs.logits,
            outputs.pred_boxes,
            [(image.shape[-2], image.shape[-1]) for image in images],
            self._covered(batch),
            softmax=self._softmax,
            score_threshold=self._score_threshold,
            limit=self._limit,
        )

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        """See `Detector.set_postprocessing`; there are never more detections than queries."""
        self._score_threshold, self._limit = score_threshold, detections

    def set_training_scale(self, scale: float) -> None:
        """See `Detector.set_training_scale`; no image is so small that it has fewer places than queries."""
        while scale < 1.0 and not self._has_places(scale):
            scale = min(1.0, scale + _SCALE_STEP)
        self._scale = scale

    def _has_places(self, scale: float) -> bool:
        if not self._preparation.square:
            return True
        places = network.places(self.config, self._preparation.size(1, 1, scale)[0])
        return places is None or places >= self.config.to_dict().get("num_queries", 0)

    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        """See `Detector.mark_phases`."""
        self._mark = mark
        try:
            yield
        finally:
            self._mark = None

    def structure(self) -> Mapping[str, Any]:
        """See `Detector.structure`: the whole configuration, and what pixels are normalised with."""
        return {
            "config": json.loads(json.dumps(self.config.to_dict())),
            "pixel_mean": list(self._preparation.mean),
            "pixel_std": list(self._preparation.std),
            "frozen_parameters": [name for name, p in self.module.named_parameters() if not p.requires_grad],
        }

    def backbone_stages(self) -> Sequence[nn.Module]:
        """See `Detector.backbone_stages`: the stem, then each stage; of a transformer, the patches, then each layer."""
        return network.stages(self.module)

    def use_channels_last(self) -> None:
        """See `Detector.use_channels_last`; the batch is reordered where it enters the network."""
        self.module.to(memory_format=torch.channels_last)
        self._channels_last = True

    def use_compiled(self) -> str:
        """See `Detector.use_compiled`; the names in the state dict stay as they are."""
        network.backbone(self.module).compile(fullgraph=True)
        return "backbone"

    def _batch(self, images: list[Tensor], scale: float) -> pixels.Batch:
        batch = self._preparation.batch(images, scale)
        if self._channels_last:
            return pixels.Batch(pixels=batch.pixels.contiguous(memory_format=torch.channels_last), mask=batch.mask)
        return batch

    def _covered(self, batch: pixels.Batch) -> Tensor | None:
        """What divides boxes: nothing where they are fractions of the image itself."""
        return batch.covered() if self._model_type in _WHOLE_BATCH else None

    def _at_boundary(self) -> None:
        if self._mark is not None:
            self._mark()


def _mask(batch: pixels.Batch) -> dict[str, Tensor]:
    return {} if batch.mask is None else {"pixel_mask": batch.mask}
