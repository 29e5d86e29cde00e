"""What YOLOX and YOLOv9 must offer, so that one detector can train and run both."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from harness.trial.models.yolo.letterbox import Placement


class Network(Protocol):
    """A network of libreyolo with its loss and its decoding.

    Attributes:
        name: libreyolo's `model_family`.
        class_weight: of the last layer for classes, in a state dict.
        placement: where its published weights had images in their square.
        one_class: whether a location is detected as its best class alone.
        compiled: the names of the modules that `torch.compile` takes, which run before the head.
        module: the network.
    """

    name: ClassVar[str]
    class_weight: ClassVar[str]
    placement: ClassVar[Placement]
    one_class: ClassVar[bool]
    compiled: ClassVar[tuple[str, ...]]
    module: nn.Module

    def pixels(self, images: Tensor) -> Tensor:
        """Images, [B, 3, S, S], RGB from 0 to 1, as the network's weights want them."""

    def maps(self, batch: Tensor) -> list[Tensor]:
        """The raw outputs, float32 [B, channels, H, W], from the finest to the coarsest level."""

    def losses(self, maps: list[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """The parts of the training loss, by name.

        Args:
            maps: raw outputs, float32.
            boxes: for each image float32 [N, 4], xyxy in pixels of the square.
            labels: for each image int64 [N], from 0.
        """

    def decode(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes, float32 [B, N, 4] as xyxy in pixels of the square, and scores [B, N, C], for each location."""

    def replace_head(self, classes: int) -> None:
        """New last layers for that many classes; all before them stays."""

    def stages(self) -> Sequence[nn.Module]:
        """The backbone's stages from the input on."""
