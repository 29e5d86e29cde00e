"""`harness export`, as a user calls it, and the rows of the variants that run the same files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import harness
from harness.api.card import as_markdown
from tests.cli.conftest import Shipped, train
from tests.conftest import ROOT, Command


def _pixels(shipped: Shipped) -> torch.Tensor:
    pixels = np.asarray(Image.open(min(shipped.images.rglob("*.png"))))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255


def _run(folder: Path, written: str, image: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    """What a user's program does with the file, in a few lines and without this one."""
    if written == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        return list(session.run(None, {"image": image.numpy()}))
    if written == "torchscript":
        return [output.numpy() for output in torch.jit.load(folder / "model.pt")(image)]  # type: ignore[no-untyped-call]
    import openvino

    outputs = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(image)
    return [outputs[name] for name in ("boxes", "scores", "labels")]


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize(
    "written", ["onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in ("torchscript", "openvino"))]
)
def test_a_written_file_detects_what_predict_detects(
    harness_command: Command, shipped: Shipped, tmp_path: Path, written: str
) -> None:
    """At the threshold inside it, by another program; its card tells what it is, and its sha256 is the file's."""
    arguments = ("--format", written, "--out", tmp_path / "out", "--score-threshold", "0.3")
    done = harness_command("export", "shapes-toy", *arguments, "--results", shipped.results)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    for file in card["files"]:
        assert hashlib.sha256((tmp_path / "out" / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert card["classes"] == {"1": "disc", "2": "square"}
    assert card["check"]["agreement"] >= 0.9
    assert card["check"]["detections"] > 0
    assert card["metrics"]["as_trained"]["map_50"] > 0.1
    assert (card["metrics"]["variant"] is not None) == (written == "openvino")
    assert card["thresholds"]["score_threshold"] == 0.3
    assert set(card["thresholds"]["best_by_class"]) == {"disc", "square"}
    page = (tmp_path / "out" / "card.md").read_text()
    assert "| 1 | disc |" in page
    assert ": 14 epochs on shapes, seed 0, from weights none" in page
    assert ": 1 epoch on shapes" in as_markdown({**card, "trained": {**card["trained"], "epochs": 1}})
    assert "licence of the architecture's code" in page
    image = min(shipped.images.rglob("*.png"))
    predicted = harness.predict(
        shipped.trial / "checkpoints" / "weights.pt", image, score_threshold=0.3, device="cpu"
    ).detected.images[0]
    boxes, scores, labels = _run(tmp_path / "out", written, _pixels(shipped))
    order = np.argsort(-scores, kind="stable")
    assert labels[order].tolist() == list(predicted.labels)
    assert np.allclose(scores[order], predicted.scores, atol=1e-3)
    assert np.allclose(boxes[order], np.array(predicted.boxes).reshape(-1, 4), atol=0.1)


def test_a_state_dict_loads_as_tensors_alone(harness_command: Command, shipped: Shipped, tmp_path: Path) -> None:
    """`weights_only=True` is enough, and the detector can be built of it again."""
    out = tmp_path / "out"
    done = harness_command("export", "shapes-toy", "--format", "state_dict", "--out", out, "--results", shipped.results)
    assert done.returncode == 0, done.stderr
    content = torch.load(out / "model.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in content["state_dict"].values())
    loaded = harness.load_detector(out / "model.pt", architecture=f"{ROOT}/tests/examples/toy_architecture.py:TOY")
    assert loaded.class_names == ("disc", "square")
    again = harness_command(
        "export", "shapes-toy", "--format", "state_dict", "--out", out, "--results", shipped.results
    )
    assert again.returncode == 2
    assert "holds card.json, card.md, model.pt already" in again.stderr


def test_a_file_of_weights_that_detect_nothing_is_not_called_compared(
    harness_command: Command, shipped: Shipped, tmp_path: Path
) -> None:
    """All of no detections agree, which says nothing: the output and the card say so."""
    arguments = ("--format", "state_dict", "--out", tmp_path / "out", "--score-threshold", "1")
    done = harness_command("export", "shapes-toy", *arguments, "--results", shipped.results)
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, (tmp_path / "out" / "card.md").read_text()):
        assert "detect nothing above the score threshold, so no detections could be compared" in text
        assert "100.0%" not in text


def test_a_file_that_detects_otherwise_is_not_written(
    harness_command: Command, shipped: Shipped, tmp_path: Path
) -> None:
    """A detector that knows its threshold only while it is traced: the message says how much agreed."""
    source = ROOT / "tests" / "examples"
    for name in ("toy_architecture.py", "toy_family.py"):
        shutil.copy(source / name, tmp_path / name)
    family = tmp_path / "toy_family.py"
    spoilt = family.read_text().replace("- 0.5", "- (0.9 if torch.jit.is_tracing() else 0.5)")
    assert spoilt != family.read_text()
    family.write_text(spoilt)
    weights = shutil.copy(shipped.trial / "checkpoints" / "weights.pt", tmp_path / "mine.pt")
    done = harness_command(
        "export", weights, "--format", "onnx", "--out", tmp_path / "out",
        "--architecture", f"{tmp_path / 'toy_architecture.py'}:TOY",
    )  # fmt: skip
    assert done.returncode == 1
    assert "as onnx detects something else than the weights" in done.stderr
    assert "% are the same, and 90% must be" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_the_row_of_openvino_is_as_accurate_as_the_weights(shipped: Shipped) -> None:
    """Within 0.005 mAP, in float32 whatever the CPU would rather compute in; what ran stays beside the record."""
    _check_rows(shipped, ["openvino"])


@pytest.mark.slow
def test_each_exported_variant_is_as_accurate_as_the_weights(tmp_path: Path) -> None:
    """Within 0.005 mAP; int8 says on how many training images it was calibrated, and what it costs."""
    names = ["torchscript", "onnxruntime", "openvino", "openvino-int8"]
    shipped = train(tmp_path, names)
    variants = _check_rows(shipped, names)
    assert "in int8 by NNCF" in variants["openvino-int8"]["how"]
    assert "calibrated on 40 training images" in variants["openvino-int8"]["how"]
    assert (shipped.trial / "model.openvino-int8.bin").is_file()


def _check_rows(shipped: Shipped, names: list[str]) -> dict[str, Any]:
    record = json.loads((shipped.trial / "record.json").read_text())
    variants = {variant["name"]: variant for variant in record["variants"]}
    assert list(variants) == names
    assert record["metrics"]["map_50"] > 0.1
    for name, variant in variants.items():
        assert variant["problem"] is None, variant
        apart = abs(variant["metrics"]["map"] - record["metrics"]["map"])
        assert apart <= (0.1 if name == "openvino-int8" else 0.005)
        assert (shipped.trial / variant["file"]).is_file()
        assert "fp32" in variant["how"]
    return variants
