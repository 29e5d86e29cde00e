"""Non-maximum suppression without a branch, for exports.

torchvision's own has a branch for no boxes at all, which an exporter writes as an `If`. OpenVINO then gives a detection
of an earlier image for one that has none: so one box is added that is never reported, and the branch is not needed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torchvision.ops import boxes as torchvision_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

_BELOW_ALL = -1.0  # a score


@contextlib.contextmanager
def without_branches() -> Iterator[None]:
    """Within the context, let `torchvision.ops.batched_nms` be traced as `suppress` below."""
    module = cast("Any", torchvision_boxes)
    original = module._batched_nms_coordinate_trick  # noqa: SLF001 - looked up there by whoever calls batched_nms
    module._batched_nms_coordinate_trick = suppress  # noqa: SLF001
    try:
        yield
    finally:
        module._batched_nms_coordinate_trick = original  # noqa: SLF001


def suppress(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """The indices of the boxes that no better one of their class overlaps, best first: int64 [K].

    Classes are moved apart, as in torchvision, so that their boxes do not overlap.

    Args:
        boxes: float [N, 4], xyxy, no coordinate below 0.
        scores: float [N], from 0 to 1.
        idxs: int64 [N], the classes.
        iou_threshold: boxes overlap above this IoU.
    """
    moved = boxes + (idxs.to(boxes) * (torch.cat((boxes, boxes.new_zeros(1, 4))).max() + 1))[:, None]
    with_one_more = torch.cat((moved, boxes.new_zeros(1, 4)))
    kept: Tensor = torchvision_boxes.nms(
        with_one_more, torch.cat((scores, scores.new_full((1,), _BELOW_ALL))), iou_threshold
    )
    return kept[kept < scores.shape[0]]
