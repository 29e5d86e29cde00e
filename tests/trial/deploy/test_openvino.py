"""What is special about OpenVINO: nothing is sent anywhere, the precision is set, int8 is calibrated and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UnsupportedVariant
from harness.suite.catalog import registry
from harness.suite.schema import ImageSize, SyntheticDataset, SyntheticImages
from harness.suite.trial import TrialArchitecture, TrialDataset
from harness.trial.deploy import openvino
from harness.trial.deploy.base import Weights
from harness.trial.deploy.onnx import to_onnx
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.item import Items
from harness.trial.models import checkpoint
from harness.trial.models.transformers.pixels import Preparation
from tests.conftest import ROOT
from tests.examples import toy_family

if TYPE_CHECKING:
    from harness.trial.models.base import Detector

CPU = torch.device("cpu")
TOY = registry.load_row(f"{ROOT}/tests/examples/toy_architecture.py:TOY", ROOT)


@pytest.fixture
def weights(tmp_path: Path) -> Callable[..., Weights]:
    """Random weights of the toy detector, where a trial leaves them."""
    images = SyntheticImages(images=6)
    source = SyntheticDataset(format="synthetic", train=images, val=images, size=64, classes=2)
    items = open_dataset(
        TrialDataset(name="shapes", fingerprint="", source=source), max_images=None, import_folder=tmp_path
    ).splits["train"]

    def make(device: torch.device = CPU) -> Weights:
        torch.manual_seed(0)
        size = ImageSize(min=64, max=64)
        detector, _ = toy_family.build(TOY, weights="none", classes=2, image_size=size, options={"channels": 8})
        choice = TrialArchitecture(
            name=TOY.name, weights="none", weights_sha256=None, image_size=size, model={"channels": 8}
        )
        path = tmp_path / "checkpoints" / "weights.pt"
        checkpoint.save(path, detector, choice, ("disc", "square"))
        return Weights(
            checkpoint=path, row=TOY, precision="fp32", tf32=False, device=device, threads=1, calibration=items
        )

    return make


def _images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator) for size in ((64, 96), (80, 64))]


def test_nothing_is_sent_and_nothing_printed(tmp_path: Path) -> None:
    """In a home of its own no telemetry leaves a file, no socket is opened, and NNCF talks to a stub."""
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from harness.trial.deploy import openvino\n"
        "openvino.nncf()\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "from nncf.telemetry import wrapper\n"
        "assert 'stub' in telemetry_utils.tm.__name__, telemetry_utils.tm\n"
        "assert wrapper.telemetry.__class__.__name__ == 'MagicMock', wrapper.telemetry\n"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_it_computes_in_float32_with_the_threads_of_the_trial(weights: Callable[..., Weights]) -> None:
    """A CPU with bf16 would take that by itself; both are told in the row."""
    deployment = openvino.openvino_variant("openvino", weights(), _images(), 0.001, 100)
    assert "CPU, 1 thread, fp32" in deployment.how
    assert deployment.exported is not None
    assert list(deployment.exported()) == [".xml", ".bin"]
    (found,) = deployment.detect(_images()[:1])
    assert found.boxes.dtype == torch.float32
    assert len(found.scores)


def test_int8_looks_at_training_images_once_for_the_weights_and_the_threshold(
    weights: Callable[..., Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left beside the record is taken again by a race; for another threshold it is made anew."""
    made = weights()
    deployment = openvino.openvino_int8("openvino-int8", made, _images(), 0.001, 100)
    assert "calibrated on 6 training images" in deployment.how
    assert deployment.exported is not None
    for suffix, content in deployment.exported().items():
        (tmp_path / f"model.openvino-int8{suffix}").write_bytes(content)
    assert b"FakeQuantize" in deployment.exported()[".xml"]
    counted: list[int] = []
    original = openvino.quantized

    def count(model: Any, items: Items, number: int) -> Any:
        counted.append(number)
        return original(model, items, number)

    monkeypatch.setattr(openvino, "quantized", count)
    again = openvino.openvino_int8("openvino-int8", made, _images(), 0.001, 100)
    assert not counted
    for first, second in zip(deployment.detect(_images()), again.detect(_images()), strict=True):
        assert torch.equal(first.scores, second.scores)
    again.set_threshold(0.01, 100)
    assert counted


def test_rows_of_a_gpu_get_none_of_a_cpu(weights: Callable[..., Weights]) -> None:
    """Speeds of two devices do not compare; the reason says what to do."""
    for variant in (openvino.openvino_variant, openvino.openvino_int8):
        with pytest.raises(UnsupportedVariant, match="OpenVINO runs on the CPU, and this is measured on cuda:0"):
            variant("", weights(torch.device("cuda:0")), _images(), 0.001, 100)


def _resized(images: list[Tensor]) -> list[dict[str, Tensor]]:
    """What goes into a network of transformers, four pixels a "box"."""
    size = ImageSize(min=32, max=32)
    preparation = Preparation(image_size=size, square=True, multiple=8, mean=(0, 0, 0), std=(1, 1, 1))
    pixels = preparation.batch(images).pixels.reshape(-1, 4)
    return [{"boxes": pixels, "scores": pixels[:, 0], "labels": torch.ones_like(pixels[:, 0], dtype=torch.int64)}]


def test_images_are_made_smaller_without_aliasing() -> None:
    """By itself OpenVINO ignores the filter that ONNX asks for, so that a photograph became another one."""
    fine = torch.rand(3, 150, 201, generator=torch.Generator().manual_seed(2))
    detector = cast("Detector", SimpleNamespace(module=nn.Identity(), detect=_resized))
    compiled = openvino.compile_model(openvino.to_model(to_onnx(detector, torch.rand(3, 40, 50))), 1)
    pixels, _, _ = openvino.run_compiled(compiled, fine)
    torch.testing.assert_close(pixels, _resized([fine])[0]["boxes"], rtol=0, atol=1e-5)
