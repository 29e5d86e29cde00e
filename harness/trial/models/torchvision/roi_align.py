"""RoIAlign whose backward pass uses all threads of a CPU: torchvision's uses one. The bits are the same."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.ops import MultiScaleRoIAlign

if TYPE_CHECKING:
    from harness.trial.models.faster import Parts
from harness.trial.models.faster import subclass


def faster_pooling(module: nn.Module) -> Parts:
    """What pools faster; nothing on a GPU, or with one thread."""
    if next(module.parameters()).device.type == "cpu" and torch.get_num_threads() > 1:
        for part in module.modules():
            if isinstance(part, MultiScaleRoIAlign):
                yield part, subclass(_InThreads, type(part))


class _InThreads(MultiScaleRoIAlign):  # type: ignore[misc] # torchvision has no types
    """RoIAlign whose backward pass uses all threads; torchvision's uses one on a CPU. The bits are the same."""

    def forward(self, *arguments: Any, **named: Any) -> Tensor:
        """See torchvision's."""
        with _RoIAlignInThreads():
            return cast("Tensor", super().forward(*arguments, **named))


class _RoIAlignInThreads(TorchFunctionMode):
    """Within the context torchvision's operator has the backward pass in threads."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, or what stands for it."""
        del types
        if func not in (torch.ops.torchvision.roi_align, torch.ops.torchvision.roi_align.default):
            return func(*args, **(kwargs or {}))
        features, boxes, *how = args
        with torch.autocast("cpu", enabled=False):  # torchvision's too computes in float32
            pooled: Tensor = _RoIAlign.apply(features.float(), boxes.float(), *how)
        return pooled.to(features.dtype)


class _RoIAlign(torch.autograd.Function):
    """torchvision's operator, with its own backward operator called for a part of the channels in each thread."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, boxes: Tensor, *how: Any) -> Tensor:
        """Pool; `how`: spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned."""
        ctx.save_for_backward(boxes)
        ctx.shape, ctx.how = features.shape, how
        pooled: Tensor = torch.ops.torchvision.roi_align(features, boxes, *how)
        return pooled

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Spread the gradient over the features."""
        (boxes,) = ctx.saved_tensors
        images, _, height, width = ctx.shape
        scale, pooled_height, pooled_width, sampling, aligned = ctx.how

        def spread(part: Tensor) -> Tensor:
            spread_part: Tensor = torch.ops.torchvision._roi_align_backward(  # noqa: SLF001 - it has no public name
                part, boxes, scale, pooled_height, pooled_width, images, part.shape[1], height, width, sampling, aligned
            )
            return spread_part

        parts = list(grad.chunk(torch.get_num_threads(), dim=1))
        return torch.cat(list(_threads(len(parts)).map(spread, parts)), dim=1), None, *(None for _ in ctx.how)


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="roi-align")
