"""A torchvision detector as the rest of the program uses it: all that it must know of torchvision's internals."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import torch

from harness.errors import TrialError
from harness.trial.models.base import Detector
from harness.trial.models.torchvision import build
from harness.trial.models.torchvision.foreground_boxes import faster_boxes
from harness.trial.models.torchvision.roi_align import faster_pooling
from harness.trial.models.torchvision.stages import stages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from harness.suite.catalog.heads import HeadArchitecture
    from harness.trial.models.faster import Parts


class TorchvisionDetector(Detector):
    """One of torchvision's: `transform`, `backbone`, and a head that makes boxes."""

    def __init__(self, module: nn.Module, row: HeadArchitecture) -> None:
        self.module = module
        self._row = row
        self._scale = 1.0
        self._head = build.head_of(row)
        self._head.prepare(module)

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        """See `Detector.losses`; torchvision's own parts of the loss.

        Raises:
            TrialError: the architecture trains from masks, and a target has none.
        """
        if self._row.needs_masks and not all("masks" in target for target in targets):
            raise TrialError(f"{self._row.name} trains from masks: targets need `masks`, uint8 [N, H, W], beside boxes")
        with self._scaled_images():
            losses: Mapping[str, Tensor] = self.module(images, targets)
        return losses

    def detect(self, images: list[Tensor]) -> Sequence[Mapping[str, Tensor]]:
        """See `Detector.detect`."""
        detections: Sequence[Mapping[str, Tensor]] = self.module(images)
        return detections

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        """See `Detector.set_postprocessing`; torchvision's defaults differ 200-fold between its detectors."""
        self._head.set_postprocessing(self.module, score_threshold=score_threshold, detections=detections)

    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        """See `Detector.mark_phases`: the end of `transform`, and the beginning of `postprocess_detections`."""
        owner = self._head.postprocessor(self.module)
        original = cast("Callable[..., object]", owner.postprocess_detections)

        def postprocess(*arguments: object, **named: object) -> object:
            mark()
            return original(*arguments, **named)

        hook = self.module.get_submodule("transform").register_forward_hook(lambda *_: mark())
        owner.postprocess_detections = postprocess
        try:
            yield
        finally:
            hook.remove()
            del owner.postprocess_detections

    def backbone_stages(self) -> Sequence[nn.Module]:
        """See `Detector.backbone_stages`: five of a ResNet or VGG, six of a MobileNet."""
        return stages_of(self.module.get_submodule("backbone"))

    def faster_parts(self) -> Mapping[str, Parts]:
        """See `Detector.faster_parts`; RoIAlign and RetinaNet's boxes too, on a CPU."""
        return {
            **super().faster_parts(),
            "roi_align": faster_pooling(self.module),
            "foreground_boxes": faster_boxes(self.module),
        }

    def set_training_scale(self, scale: float) -> None:
        """See `Detector.set_training_scale`; both sides of torchvision's resize are scaled."""
        if self._row.fixed_size:
            raise TrialError(
                f"{self._row.name} takes images of one size: multi-scale training is not possible; leave multiscale out"
            )
        self._scale = scale

    @contextlib.contextmanager
    def _scaled_images(self) -> Iterator[None]:
        """Within the context, images are resized as the training's scale says."""
        if self._scale == 1.0:
            yield
            return
        transform: Any = self.module.transform
        before = transform.min_size, transform.max_size
        transform.min_size = tuple(max(1, round(side * self._scale)) for side in before[0])
        transform.max_size = max(1, round(before[1] * self._scale))
        try:
            yield
        finally:
            transform.min_size, transform.max_size = before

    def structure(self) -> Mapping[str, Any]:
        """See `Detector.structure`: the frozen norms with their eps, and the frozen parameters' names."""
        return build.structure_of(self.module).plain()

    def use_channels_last(self) -> None:
        """See `Detector.use_channels_last`; the batch is reordered where it enters the backbone."""

        def reorder(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(batch.contiguous(memory_format=torch.channels_last) for batch in inputs)

        self.module.to(memory_format=torch.channels_last)
        self.module.get_submodule("backbone").register_forward_pre_hook(reorder)

    def use_compiled(self) -> str:
        """See `Detector.use_compiled`; inductor takes the part without graph breaks, any break is an error."""
        backbone = torch.compile(self.module.get_submodule("backbone"), fullgraph=True)
        self.module.backbone = cast("nn.Module", backbone)
        return "backbone" if self._row.fixed_size else "backbone and FPN"
