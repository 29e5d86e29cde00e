"""Let a backbone with depthwise convolutions compute channel by channel last, in which these are quicker on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from harness.trial.models.faster import subclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.trial.models.faster import Parts


def faster_layout(stages: Sequence[nn.Module]) -> Parts:
    """What brings images into this layout: the first convolution; those after it keep the layout that they get.

    Nothing on a GPU, where no gain was measured, and for backbones without depthwise convolutions, some of which lose.

    Args:
        stages: of the backbone, from the image on.
    """
    convolutions = [part for stage in stages for part in stage.modules() if isinstance(part, nn.Conv2d)]
    depthwise = any(part.groups == part.in_channels > 1 for part in convolutions)
    if depthwise and convolutions[0].weight.device.type == "cpu":
        yield convolutions[0], subclass(_FromChannelsLast, type(convolutions[0]))


class _FromChannelsLast(nn.Module):
    """A convolution of a batch in torch's channels_last memory format, which its output then has too."""

    def forward(self, batch: Tensor) -> Tensor:
        """Convolve."""
        convolution = cast("Any", super())
        return cast("Tensor", convolution.forward(batch.contiguous(memory_format=torch.channels_last)))
