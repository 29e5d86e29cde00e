"""The resizes that exports hold are torch's, at other image sizes than the traced one too."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.trial.deploy.resizing import OPSET, register_resize


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
