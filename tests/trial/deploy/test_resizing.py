"""The resizes that exports hold are torch's, at other image sizes than the traced one too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from harness.trial.deploy.resizing import OPSET, exact_sizes, register_resize


class _Resized(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, image: Tensor) -> Tensor:
        return functional.interpolate(image, (12, 12), mode=self.mode, antialias=True)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_an_exported_resize_with_antialiasing_is_torchs(tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
    """To smaller and to larger images."""
    register_resize()
    path = tmp_path_factory.mktemp("resize") / "model.onnx"
    axes = {"image": {2: "height", 3: "width"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this exporter is the older one
        torch.onnx.export(
            _Resized(mode),
            (torch.rand(1, 3, 40, 30),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            dynamic_axes=axes,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for height, width in ((40, 30), (25, 60), (8, 9)):
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        (found,) = session.run(None, {"image": image.numpy()})
        np.testing.assert_allclose(found, _Resized(mode)(image).numpy(), atol=1e-4)


class _Transformed(nn.Module):
    """The resize of torchvision's detectors: the shorter side to 128, unless the longer one would exceed 256."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = GeneralizedRCNNTransform(128, 256, [0.0], [1.0])

    def forward(self, image: Tensor) -> Tensor:
        resized: Tensor = self.transform.resize(image, None)[0]
        return resized


# Of both kinds: those that float64 makes a pixel smaller than 128, and those that only float32 does.
_SHAPES = ((98, 140), (103, 103), (69, 253), (161, 90), (107, 320), (300, 77), (128, 128), (40, 300), (255, 511))


_INTENDED = [tuple(_Transformed()(torch.zeros(3, *shape)).shape) for shape in _SHAPES]


@pytest.fixture
def transformed() -> Iterator[_Transformed]:
    with exact_sizes(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield _Transformed()


def _shapes(run: Callable[[Tensor], Tensor]) -> list[tuple[int, ...]]:
    return [tuple(run(torch.zeros(3, *shape)).shape) for shape in _SHAPES]


def test_a_traced_detector_resizes_to_the_same_pixel(transformed: _Transformed) -> None:
    """As TorchScript, traced with another shape; and to the same values."""
    traced = torch.jit.trace(transformed, (torch.zeros(3, 128, 128),), check_trace=False)  # type: ignore[no-untyped-call]
    assert _shapes(traced) == _INTENDED
    image = torch.rand(3, 69, 253)
    (wanted,) = functional.interpolate(image[None], _INTENDED[2][1:], mode="bilinear")
    assert torch.equal(traced(image), wanted)


def test_an_exported_detector_resizes_to_the_same_pixel(transformed: _Transformed, tmp_path: Path) -> None:
    """As ONNX in onnxruntime."""
    torch.onnx.export(
        transformed,
        (torch.zeros(3, 128, 128),),
        tmp_path / "model.onnx",
        dynamo=False,
        opset_version=OPSET,
        input_names=["image"],
        dynamic_axes={"image": {1: "height", 2: "width"}},
    )
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert _shapes(lambda image: session.run(None, {"image": image.numpy()})[0]) == _INTENDED
