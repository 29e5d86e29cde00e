"""What an export to ONNX needs of the family: sizes that follow the traced image, and the resize without aliasing.

A trace keeps what torch computes and forgets what python does with numbers, so sizes are computed by torch here. Used
in a trace alone; `harness.trial.models.transformers.pixels` computes the same with plain numbers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from harness.suite.schema import ImageSize

_OPSET = 18  # the first whose Resize knows antialias


def is_tracing() -> bool:
    """Whether an exporter watches what is computed."""
    return bool(torch._C._get_tracing_state())  # noqa: SLF001 - what torch.jit.is_tracing asks, which has no type


def shorter_side(image: Tensor, image_size: ImageSize) -> tuple[Any, Any]:
    """The height and width to resize an image to, [3, H, W], as whole numbers of the trace."""
    height, width = (torch.as_tensor(image.shape[axis], dtype=torch.float32) for axis in (-2, -1))
    ratio = torch.minimum(image_size.min / torch.minimum(height, width), image_size.max / torch.maximum(height, width))
    return (height * ratio).round().to(torch.int64), (width * ratio).round().to(torch.int64)


@functools.cache
def register_resize() -> None:
    """Tell the exporter that torch's resizes with antialiasing are ONNX' Resize with antialiasing.

    The cubic one, of positions in a vision transformer, has the coefficient that torch takes with antialiasing.
    """
    for kind, attributes in (("linear", {}), ("cubic", {"cubic_coeff_a_f": -0.5})):
        symbolic = functools.partial(_resize, attributes={"mode_s": kind, **attributes})
        torch.onnx.register_custom_op_symbolic(  # type: ignore[attr-defined]
            f"aten::_upsample_bi{kind}2d_aa", symbolic, _OPSET
        )


def _resize(graph: Any, image: Any, size: Any, *_others: Any, attributes: dict[str, Any]) -> Any:
    """ONNX' Resize of [N, C, H, W] to `size`, a list of two whole numbers."""
    shape = graph.op("Shape", image)
    leading = graph.op(
        "Slice",
        shape,
        graph.op("Constant", value_t=torch.tensor([0])),
        graph.op("Constant", value_t=torch.tensor([2])),
    )
    if size.node().kind() == "prim::ListConstruct":
        axis = graph.op("Constant", value_t=torch.tensor([0]))
        size = graph.op("Concat", *(graph.op("Unsqueeze", part, axis) for part in size.node().inputs()), axis_i=0)
    whole = graph.op("Cast", size, to_i=torch.onnx.TensorProtoDataType.INT64)
    empty = graph.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
    return graph.op(
        "Resize",
        image,
        empty,
        empty,
        graph.op("Concat", leading, whole, axis_i=0),
        coordinate_transformation_mode_s="half_pixel",
        antialias_i=1,
        **attributes,
    )
