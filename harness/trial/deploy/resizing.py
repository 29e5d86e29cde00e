"""Resizes with antialiasing in an ONNX file, which torch's TorchScript-based exporter does not know by itself."""

from __future__ import annotations

import functools
from typing import Any

import torch

OPSET = 18  # the first whose Resize knows antialias


@functools.cache
def register_resize() -> None:
    """Tell the exporter that torch's resizes with antialiasing are ONNX' Resize with antialiasing.

    The cubic one, of positions in a vision transformer, has the coefficient that torch takes with antialiasing.
    """
    for kind, attributes in (("linear", {}), ("cubic", {"cubic_coeff_a_f": -0.5})):
        symbolic = functools.partial(_resize, attributes={"mode_s": kind, **attributes})
        torch.onnx.register_custom_op_symbolic(  # type: ignore[attr-defined]
            f"aten::_upsample_bi{kind}2d_aa", symbolic, OPSET
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
        exclude_outside_i=1,  # as torch does at the borders
        **attributes,
    )
