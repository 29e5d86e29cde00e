"""A small detector of each kind learns four drawn images by heart, and runs the same compiled and exported."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from harness.suite.schema import ImageSize
from harness.trial.deploy.onnx import to_onnx
from harness.trial.models.transformers import family
from harness.trial.models.transformers.detector import TransformersDetector
from tests.trial.models.transformers.tiny import NAMES, tiny

SIZE = ImageSize(min=64, max=64)


def drawn() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Four images with a red and a green rectangle each."""
    generator = torch.Generator().manual_seed(5)
    images, targets = [], []
    for _ in range(4):
        image = torch.rand(3, 64, 64, generator=generator) * 0.2
        boxes = []
        for channel in (0, 1):
            left, top = torch.randint(2, 38, (2,), generator=generator).tolist()
            width, height = torch.randint(14, 24, (2,), generator=generator).tolist()
            image[channel, top : top + height, left : left + width] = 1.0
            boxes.append([left, top, left + width, top + height])
        images.append(image)
        targets.append({"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor([1, 2])})
    return images, targets


def trained(name: str, steps: int, lr: float = 2e-3) -> TransformersDetector:
    """A small detector after some steps on the drawn images, in evaluation mode."""
    torch.manual_seed(0)
    detector, _ = family.build(tiny(name), weights="none", classes=2, image_size=SIZE, options={})
    optimizer = torch.optim.AdamW(detector.module.parameters(), lr=lr, weight_decay=1e-4)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = sum(detector.losses(*drawn()).values(), start=torch.zeros(()))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(detector.module.parameters(), 1.0)
        optimizer.step()
    detector.module.eval()
    return detector


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_its_onnx_file_finds_the_same(name: str) -> None:
    """From random weights; the file is traced with one image and run with others of other sizes."""
    onnxruntime = pytest.importorskip("onnxruntime")
    images, targets = drawn()
    detector = trained(name, 400)
    with torch.inference_mode():
        found = [dict(one) for one in detector.detect(images)]
    metric = MeanAveragePrecision()
    metric.update(found, targets)
    if name != "detr_resnet_50":  # which learns from random weights over hundreds of epochs, as its authors say
        assert float(metric.compute()["map_50"]) > 0.5  # untrained it is 0
    detector.set_postprocessing(score_threshold=0.3, detections=100)
    session = onnxruntime.InferenceSession(to_onnx(detector, images[0]), providers=["CPUExecutionProvider"])
    wider = [torch.nn.functional.interpolate(image[None], (80, 112))[0] for image in images]
    for image in images + wider:
        with torch.inference_mode():
            (eager,) = detector.detect([image])
        boxes, scores, labels = session.run(None, {"image": image.numpy()})
        exported = {"labels": labels, "scores": scores, "boxes": boxes}
        theirs = _by_class({key: torch.from_numpy(value) for key, value in exported.items()})
        ours = _by_class(eager)
        assert theirs["labels"].tolist() == ours["labels"].tolist()
        torch.testing.assert_close(theirs["scores"], ours["scores"], atol=1e-3, rtol=0)
        torch.testing.assert_close(theirs["boxes"], ours["boxes"], atol=0.1, rtol=0)


def _by_class(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Class by class, the best first: two classes of almost one score may come in either order."""
    order = torch.argsort(found["labels"], stable=True)
    return {key: value[order] for key, value in found.items()}


def test_a_compiled_backbone_keeps_its_names() -> None:
    """Weights saved from it are weights of any other; the graph is traced whole."""
    torch.manual_seed(0)
    detector, _ = family.build(tiny("yolos_tiny"), weights="none", classes=2, image_size=SIZE, options={})
    detector.module.eval()
    before = list(detector.module.state_dict())
    assert detector.use_compiled() == "backbone"
    assert list(detector.module.state_dict()) == before


def test_channels_last_changes_no_detection() -> None:
    """But for rounding."""
    detector = trained("rtdetr_v2_r18vd", 1)
    images, _ = drawn()
    with torch.inference_mode():
        before = detector.detect(images[:1])[0]["scores"]
        detector.use_channels_last()
        torch.testing.assert_close(detector.detect(images[:1])[0]["scores"], before, atol=1e-4, rtol=0)
