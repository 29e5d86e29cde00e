"""A YOLO as the rest of the program uses it: images into their squares, through the network, and boxes back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import torch

from harness.trial.models.base import Detector
from harness.trial.models.yolo.letterbox import letterbox
from harness.trial.models.yolo.suppress import detections as kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from harness.trial.models.yolo.letterbox import Letterboxed, Placement
    from harness.trial.models.yolo.network import Network

_STRIDE = 32  # of the coarsest level
SMALLEST = 64  # at 32 pixels the coarsest level has one value a channel, of which BatchNorm can learn nothing


class YoloDetector(Detector):
    """A network of libreyolo, which takes squares of `size` pixels with the image at `placement`."""

    def __init__(self, network: Network, *, size: int, placement: Placement) -> None:
        self.module = network.module
        self._network = network
        self._size = self._training_size = size
        self._placement = placement
        self._score_threshold, self._detections = 0.25, 300  # libreyolo's own
        self._memory_format = torch.contiguous_format
        self._mark: Callable[[], None] = lambda: None

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        """See `Detector.losses`; libreyolo's own parts of the loss."""
        places, batch = self._batch(images, self._training_size)
        boxes = [place.into(target["boxes"]) for place, target in zip(places, targets, strict=True)]
        labels = [target["labels"] - 1 for target in targets]
        return self._network.losses(self._network.maps(batch), boxes, labels)

    @torch.no_grad()
    def detect(self, images: list[Tensor]) -> Sequence[Mapping[str, Tensor]]:
        """See `Detector.detect`."""
        places, batch = self._batch(images, self._size)
        self._mark()
        maps = self._network.maps(batch)
        self._mark()
        boxes, scores = self._network.decode(maps)
        return [
            kept(
                boxes[number],
                scores[number],
                place,
                one_class=self._network.one_class,
                score_threshold=self._score_threshold,
                most=self._detections,
            )
            for number, place in enumerate(places)
        ]

    def _batch(self, images: list[Tensor], size: int) -> tuple[list[Letterboxed], Tensor]:
        places = [letterbox(image, size, self._placement) for image in images]
        batch = self._network.pixels(torch.stack([place.pixels for place in places]))
        return places, batch.contiguous(memory_format=self._memory_format)

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        """See `Detector.set_postprocessing`."""
        self._score_threshold, self._detections = score_threshold, detections

    def set_training_scale(self, scale: float) -> None:
        """See `Detector.set_training_scale`: the nearest multiple of the coarsest level's stride."""
        self._training_size = max(SMALLEST, round(self._size * scale / _STRIDE) * _STRIDE)

    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        """See `Detector.mark_phases`: when the squares are one batch, and when the network has run."""
        before, self._mark = self._mark, mark
        try:
            yield
        finally:
            self._mark = before

    def backbone_stages(self) -> Sequence[nn.Module]:
        """See `Detector.backbone_stages`."""
        return self._network.stages()

    def structure(self) -> Mapping[str, Any]:
        """See `Detector.structure`: where images lie in their square."""
        return {"letterbox": self._placement}

    def use_channels_last(self) -> None:
        """See `Detector.use_channels_last`."""
        self.module.to(memory_format=torch.channels_last)
        self._memory_format = torch.channels_last

    def use_compiled(self) -> str:
        """See `Detector.use_compiled`; the head stays eager."""
        for name in self._network.compiled:
            compiled = torch.compile(self.module.get_submodule(name), fullgraph=True)
            setattr(self.module, name, cast("nn.Module", compiled))
        return " and ".join(self._network.compiled)
