"""Resizes of images in exports: torchvision's to the same pixel, and in ONNX those with antialiasing.

torch's TorchScript-based exporter does not know the latter by itself.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional
from torchvision.models.detection import transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

OPSET = 18  # the first whose Resize knows antialias


@contextlib.contextmanager
def exact_sizes() -> Iterator[None]:
    """Within the context, let torchvision's detectors be traced with the image sizes that they have in python.

    torchvision computes them in float64 in python and in float32 in a trace, where one shape in ten comes out a pixel
    smaller.
    """
    module = cast("Any", transform)
    original = module._resize_image_and_masks  # noqa: SLF001 - looked up there by GeneralizedRCNNTransform

    def resize(image: Tensor, low: int, high: int, target: Any = None, fixed_size: Any = None) -> tuple[Tensor, Any]:
        if fixed_size is not None or target is not None:
            return cast("tuple[Tensor, Any]", original(image, low, high, target, fixed_size))
        sides = torch._shape_as_tensor(image)[-2:].to(torch.float64)  # noqa: SLF001 - stays an input of the trace
        ends = torch.cat((sides.amin(0, keepdim=True), sides.amax(0, keepdim=True)))
        scale = (torch.tensor([low, high], dtype=torch.float64) / ends).amin(
            0, keepdim=True
        )  # ONNX cuts numbers to fp32
        height, width = (sides * scale).floor().to(torch.int64)
        size = cast("list[int]", [height, width])
        return functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0], None

    module._resize_image_and_masks = resize  # noqa: SLF001
    try:
        yield
    finally:
        module._resize_image_and_masks = original  # noqa: SLF001


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
