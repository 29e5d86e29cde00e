"""What an export needs of the family: sizes that follow the traced image.

A trace keeps what torch computes and forgets what python does with numbers, so sizes are computed by torch here. Used
in a trace alone; `harness.trial.models.transformers.pixels` computes the same with plain numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from harness.suite.schema import ImageSize


def is_tracing() -> bool:
    """Whether an exporter watches what is computed."""
    return bool(torch._C._get_tracing_state())  # noqa: SLF001 - what torch.jit.is_tracing asks, which has no type


def shorter_side(image: Tensor, image_size: ImageSize) -> tuple[Any, Any]:
    """The height and width to resize an image to, [3, H, W], as whole numbers of the trace."""
    height, width = (torch.as_tensor(image.shape[axis], dtype=torch.float32) for axis in (-2, -1))
    ratio = torch.minimum(image_size.min / torch.minimum(height, width), image_size.max / torch.maximum(height, width))
    return (height * ratio).round().to(torch.int64), (width * ratio).round().to(torch.int64)
