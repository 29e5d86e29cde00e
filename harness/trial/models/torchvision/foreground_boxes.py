"""RetinaNet's box head on a CPU, computed where its loss reads it: at the cells that an object was matched with.

The loss of boxes reads the predictions of matched anchors alone, a few cells of each map. What the tower of
convolutions needs for these is their surroundings, cell by cell of 3 x 3. Everything else of it has no effect and no
gradient, and is half of the work of the heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.retinanet import RetinaNetRegressionHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.trial.models.faster import Parts
from harness.trial.models.faster import subclass

_MOST_CELLS = 0.6  # of those that the library computes; beyond it, gathering costs more than it saves


def faster_boxes(module: nn.Module) -> Parts:
    """What computes boxes where they are read; nothing on a GPU, nor with norms, which need whole maps."""
    if next(module.parameters()).device.type == "cpu":
        for part in module.modules():
            if isinstance(part, RetinaNetRegressionHead) and _is_plain(part):
                yield part, subclass(_WhereMatched, type(part))


def _is_plain(head: Any) -> bool:
    layers = [layer for layer in head.conv.modules() if not list(layer.children())]
    return all(
        isinstance(layer, nn.ReLU)
        or (
            isinstance(layer, nn.Conv2d)
            and (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        )
        for layer in layers
    )


class _WhereMatched(RetinaNetRegressionHead):  # type: ignore[misc] # torchvision has no types
    """Hands the features on, and computes boxes when the loss knows where; equal to rounding."""

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Leave the boxes to `compute_loss`."""
        return features

    def compute_loss(
        self, targets: Any, head_outputs: dict[str, Any], anchors: Any, matched_idxs: Sequence[Tensor]
    ) -> Tensor:
        """See torchvision's."""
        features = head_outputs["bbox_regression"]
        boxes = self._boxes(features, torch.stack(list(matched_idxs)) >= 0)
        outputs = {**head_outputs, "bbox_regression": boxes}
        return cast("Tensor", super().compute_loss(targets, outputs, anchors, matched_idxs))

    def _boxes(self, features: list[Tensor], matched: Tensor) -> Tensor:
        """The head's output, [B, anchors, 4], where an anchor is matched; elsewhere zeros that nobody reads.

        Args:
            features: [B, C, H, W] of each level.
            matched: bool [B, anchors].
        """
        if torch.is_autocast_enabled("cpu"):  # whose types the library knows
            return cast("Tensor", super().forward(features))
        images, channels = features[0].shape[:2]
        cells = sum(level.shape[-2:].numel() for level in features)
        neighbours, place = _neighbours([level.shape[-2:] for level in features], images)
        reads = matched.reshape(images * cells, -1).any(dim=1)[place]
        if not reads.any():
            reads[0] = True  # so that every parameter has a gradient, of zeros
        convolutions = [*(layer for layer in self.conv.modules() if isinstance(layer, nn.Conv2d)), self.bbox_reg]
        needed = [reads]  # by each convolution, the last one's first
        for _ in convolutions[1:]:
            before = reads.new_zeros(len(reads) + 1)
            before[neighbours[needed[-1]]] = True
            needed.append(before[:-1])
        worth = sum(int(mask.sum()) for mask in needed) <= _MOST_CELLS * len(reads) * len(needed)
        if not worth:
            return cast("Tensor", super().forward(features))
        rows = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in features])
        row_of = torch.arange(len(reads) + 1)  # the row of each cell; the last one is of zeros, beyond the borders
        for layer, mask in zip(convolutions, reversed(needed), strict=True):
            rows = functional.pad(rows, (0, 0, 0, 1))
            rows = _Convolution.apply(rows, layer.weight, layer.bias, row_of[neighbours[mask]])
            if layer is not self.bbox_reg:
                rows = functional.relu(rows)
            row_of = torch.full_like(row_of, len(rows))
            row_of[:-1][mask] = torch.arange(len(rows))
        boxes = rows.new_zeros(images * cells, rows.shape[1]).index_copy(0, place[reads], rows)
        return boxes.reshape(images, -1, 4)


class _Convolution(torch.autograd.Function):
    """A convolution of 3 x 3 at some cells.

    What it gathers takes nine times the room of the rows, so it is gathered again in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, neighbours: Tensor) -> Tensor:
        """Convolve; rows [R, C], weight [K, C, 3, 3], neighbours int64 [N, 9]; returns [N, K]."""
        matrix = weight.permute(0, 2, 3, 1).flatten(1)
        ctx.save_for_backward(rows, matrix, neighbours)
        ctx.shape = weight.shape
        return torch.addmm(bias, rows[neighbours].flatten(1), matrix.t())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradients of rows, weight and bias."""
        rows, matrix, neighbours = ctx.saved_tensors
        of_matrix = grad.t() @ rows[neighbours].flatten(1)
        of_gathered = (grad @ matrix).reshape(-1, rows.shape[1])
        of_rows = torch.ops.aten.embedding_dense_backward(of_gathered, neighbours.flatten(), len(rows), -1, False)
        channels_out, channels, height, width = ctx.shape
        of_weight = of_matrix.reshape(channels_out, height, width, channels).permute(0, 3, 1, 2)
        return of_rows, of_weight, grad.sum(dim=0), None


def _neighbours(sizes: Sequence[Sequence[int]], images: int) -> tuple[Tensor, Tensor]:
    """The cells around each cell of all maps, and the place of each cell among the head's outputs.

    Args:
        sizes: (height, width) of each level.
        images: of the batch.

    Returns:
        int64 [cells, 9], row by row of the kernel, with the number of cells for those beyond a border; int64 [cells],
        for the head's outputs go image by image, and cells level by level.
    """
    total = images * sum(height * width for height, width in sizes)
    around, places, begin = [], [], 0
    for height, width in sizes:
        count = height * width
        numbers = torch.arange(images * count).reshape(images, height, width) + begin
        padded = functional.pad(numbers, (1, 1, 1, 1), value=total)
        shifted = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
        around.append(torch.stack(shifted, dim=-1).reshape(-1, 9))
        first = torch.arange(images)[:, None] * (total // images) + begin // images
        places.append((first + torch.arange(count)).flatten())
        begin += images * count
    return torch.cat(around), torch.cat(places)
