"""RoIAlign on a CPU as weighted sums of rows: torchvision's own passes take five to eight times as long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torchvision.ops import MultiScaleRoIAlign

if TYPE_CHECKING:
    from harness.trial.models.faster import Parts
from harness.trial.models.faster import subclass


def faster_pooling(module: nn.Module) -> Parts:
    """What pools faster; nothing on a GPU, where torchvision has a kernel of its own."""
    if next(module.parameters()).device.type == "cpu":
        for part in module.modules():
            if isinstance(part, MultiScaleRoIAlign) and part.sampling_ratio > 0:
                yield part, subclass(_OfRows, type(part))


class _OfRows(MultiScaleRoIAlign):  # type: ignore[misc] # torchvision has no types
    """RoIAlign as weighted sums of rows; what it gives differs from torchvision's by rounding."""

    def forward(self, *arguments: Any, **named: Any) -> Tensor:
        """See torchvision's."""
        with _RoIAlignOfRows():
            return cast("Tensor", super().forward(*arguments, **named))


class _RoIAlignOfRows(TorchFunctionMode):
    """Within the context `roi_align` stands for torchvision's operator."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, or what stands for it."""
        del types
        if func not in (torch.ops.torchvision.roi_align, torch.ops.torchvision.roi_align.default):
            return func(*args, **(kwargs or {}))
        features, boxes, *how = args
        dtype = torch.promote_types(features.dtype, torch.float32)
        with torch.autocast("cpu", enabled=False):  # torchvision's too computes in float32
            pooled = roi_align(features.to(dtype), boxes.to(dtype), *how)
        return pooled.to(features.dtype)


def roi_align(
    features: Tensor,
    boxes: Tensor,
    scale: float,
    height: int,
    width: int,
    samples: int,
    aligned: bool,  # noqa: FBT001
) -> Tensor:
    """Pool boxes as torchvision's operator does (He et al. 2017, arXiv:1703.06870).

    Each cell is the mean of samples² points, and each point is interpolated from four pixels: a sum of 4 samples² rows
    of all channels. torch's embedding_bag computes such sums, and their gradients, with vector instructions in all
    threads, where torchvision's operator goes from channel to channel, backward in one thread.

    Args:
        features: [B, C, H, W].
        boxes: [N, 5], the number of the image, then xyxy in pixels of the image.
        scale: from pixels of the image to those of the features.
        height: of the pooled boxes, in cells.
        width: likewise.
        samples: points of a cell in each direction, above 0.
        aligned: shift the boxes by half a pixel.

    Returns:
        [N, C, height, width].
    """
    _, channels, rows, columns = features.shape
    left, top, right, bottom = (boxes[:, 1:] * scale - (0.5 if aligned else 0.0)).unbind(1)
    smallest = None if aligned else 1.0
    of_y, weight_y = _interpolated(top, bottom, cells=height, samples=samples, pixels=rows, smallest=smallest)
    of_x, weight_x = _interpolated(left, right, cells=width, samples=samples, pixels=columns, smallest=smallest)
    first_row = (boxes[:, 0].long() * rows)[:, None, None, None, None]
    pixels = (first_row + of_y[:, :, None, :, None]) * columns + of_x[:, None, :, None, :]
    weights = weight_y[:, :, None, :, None] * weight_x[:, None, :, None, :] / samples**2
    summed = functional.embedding_bag(
        pixels.flatten(3).flatten(0, 2),
        features.permute(0, 2, 3, 1).reshape(-1, channels),
        mode="sum",
        per_sample_weights=weights.flatten(3).flatten(0, 2),
    )
    return summed.reshape(len(boxes), height, width, channels).permute(0, 3, 1, 2)


def _interpolated(
    start: Tensor, end: Tensor, *, cells: int, samples: int, pixels: int, smallest: float | None
) -> tuple[Tensor, Tensor]:
    """The pixels that the points of each cell lie between, and their weights, along one axis.

    A point beyond the border has the pixel of the border; one that is more than a pixel beyond it counts as zero.

    Args:
        start: [N], where each box begins, in pixels.
        end: [N].
        cells: that a box is divided into.
        samples: points in a cell.
        pixels: of the axis.
        smallest: the smallest length of a box; None: any.

    Returns:
        int64 and float [N, cells, 2 * samples].
    """
    length = end - start if smallest is None else (end - start).clamp(min=smallest)
    number = torch.arange(cells * samples, device=start.device)
    cell, sample = number // samples, number % samples
    size = (length / cells)[:, None]
    point = start[:, None] + cell * size + (sample + 0.5) * size / samples
    counts = (point >= -1) & (point <= pixels)  # of what is no number, none does
    point = torch.where(counts, point, 0.0).clamp(min=0)
    below = point.long().clamp(max=pixels - 1)
    above = (below + 1).clamp(max=pixels - 1)
    share = torch.where(below == above, 0.0, point - below)  # of the pixel above
    between = torch.stack([below, above], dim=-1)
    weights = torch.stack([1 - share, share], dim=-1) * counts[..., None]
    return between.reshape(len(start), cells, 2 * samples), weights.reshape(len(start), cells, 2 * samples)
