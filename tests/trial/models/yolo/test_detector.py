"""A YOLO trains on any batch, finds what it is sure of where it is, and runs in every way that others run in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.recipe import resolve
from harness.suite.schema import ImageSize
from harness.trial.deploy.onnx import to_onnx
from harness.trial.models.yolo import family
from harness.trial.models.yolo.detector import YoloDetector
from harness.trial.models.yolo.yolo9 import Yolo9
from harness.trial.models.yolo.yolox import Yolox

NAMES = ["yolox_nano", "yolov9_t"]
CLASSES = 3
NO_BOX = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
TWO_BOXES = {"boxes": torch.tensor([[4.0, 6.0, 40.0, 50.0], [30.0, 8.0, 70.0, 40.0]]), "labels": torch.tensor([1, 3])}
IMAGES = [torch.rand(3, 56, 80, generator=torch.Generator().manual_seed(0)), torch.rand(3, 70, 40)]


def _detector(name: str, size: int = 64) -> YoloDetector:
    torch.manual_seed(0)
    detector, head = family.build(
        BUILT_IN[name], weights="none", classes=CLASSES, image_size=ImageSize(min=size, max=size), options={}
    )
    assert head == "new"
    return detector


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest) -> YoloDetector:
    """A detector that says something of each image: its last layers are not at the prior that they start from."""
    detector = _detector(request.param)
    for module in detector.module.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.weight, std=0.5)
            nn.init.zeros_(module.bias)
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.001, detections=200)
    return detector


def _detect(detector: YoloDetector) -> list[dict[str, Tensor]]:
    with torch.inference_mode():
        return [dict(found) for found in detector.detect(IMAGES)]


def _backward(losses: Mapping[str, Tensor]) -> None:
    torch.autograd.backward(list(losses.values()))


def _assert_alike(found: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    """Nine of ten detections have their like, whatever their order: of the same class, place and score."""
    assert len(found["labels"])
    alike = (
        (box_iou(found["boxes"], other["boxes"]) > 0.9)
        & (found["labels"][:, None] == other["labels"])
        & ((found["scores"][:, None] - other["scores"]).abs() < 0.01)
    )
    assert alike.any(dim=1).float().mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_any_batch_trains_every_parameter(name: str) -> None:
    """Mixed, without a box, and a single image: of 64 pixels, where the coarsest level has 4 values a channel."""
    detector = _detector(name)
    for images, targets in ((IMAGES, [TWO_BOXES, NO_BOX]), (IMAGES, [NO_BOX, NO_BOX]), (IMAGES[:1], [TWO_BOXES])):
        detector.module.zero_grad()
        losses = detector.losses(images, targets)
        _backward(losses)
        for parameter in detector.module.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_after_evaluation_under_inference_mode(name: str) -> None:
    """What is kept between passes must not be what torch made for inference alone."""
    detector = _detector(name)
    detector.module.eval()
    _detect(detector)
    detector.module.train()
    _backward(detector.losses(IMAGES, [TWO_BOXES, NO_BOX]))
    assert all(parameter.grad is not None for parameter in detector.module.parameters())


def test_a_sure_yolox_has_no_loss_and_is_decoded_to_the_box() -> None:
    """Raw outputs that say one box, without doubt: assignment, loss and decoding agree on what they mean."""
    network = Yolox("n")
    network.replace_head(CLASSES)
    box = torch.tensor([20.0, 12.0, 44.0, 40.0])
    maps = [torch.zeros(1, 5 + CLASSES, cells, cells) for cells in (8, 4, 2)]
    for stride, level in zip((8, 16, 32), maps, strict=True):
        level[:, [5, 7]], level[:, [4, 6]] = -20, 20
        cells = torch.arange(level.shape[-1])
        level[:, 0] = 32 / stride - cells
        level[:, 1] = 26 / stride - cells[:, None]
        level[:, 2], level[:, 3] = math.log(24 / stride), math.log(28 / stride)
    losses = network.losses([level.clone() for level in maps], [box[None]], [torch.tensor([1])])
    assert all(losses[part] < 1e-3 for part in ("loss_box", "loss_l1", "loss_class"))
    boxes, scores = network.decode(maps)
    best = scores[0, :, 1].argmax()
    torch.testing.assert_close(boxes[0, best], box)
    assert scores[0, best].tolist() == pytest.approx([0, 1, 0], abs=1e-3)


def test_a_sure_yolov9_has_no_loss_and_is_decoded_to_the_box() -> None:
    network = Yolo9("t")
    network.replace_head(CLASSES)
    box = torch.tensor([12.0, 4.0, 44.0, 36.0])  # each side a whole number of strides from some centre, (28, 20)
    maps = [torch.full((1, 64 + CLASSES, cells, cells), -20.0) for cells in (8, 4, 2)]
    for stride, level in zip((8, 16, 32), maps, strict=True):
        cells = (torch.arange(level.shape[-1]) + 0.5) * stride
        for row, y in enumerate(cells):
            for column, x in enumerate(cells):
                sides = torch.stack((x - box[0], y - box[1], box[2] - x, box[3] - y)) / stride
                for side, length in enumerate(sides.clamp(0, 14)):
                    low = int(length)
                    for bin_, share in ((low, 1 - length % 1), (low + 1, length % 1)):
                        level[0, 16 * side + bin_, row, column] = torch.log(share.clamp(min=1e-9))
                if (sides > 0).all():
                    level[0, 64 + 1, row, column] = 20
    losses = network.losses(maps, [box[None]], [torch.tensor([1])])
    assert losses["loss_box"] < 1e-3
    boxes, scores = network.decode(maps)
    best = scores[0, :, 1].argmax()
    torch.testing.assert_close(boxes[0, best], box, rtol=0, atol=1e-2)
    assert scores[0, best].tolist() == pytest.approx([0, 1, 0], abs=1e-3)


def test_detections_lie_in_the_image_and_are_of_a_class(trained: YoloDetector) -> None:
    for found, image in zip(_detect(trained), IMAGES, strict=True):
        boxes, limits = found["boxes"], torch.tensor([image.shape[2], image.shape[1]] * 2)
        assert 0 < len(boxes) <= 200
        assert (boxes >= 0).all()
        assert (boxes <= limits).all()
        assert set(found["labels"].tolist()) <= {1, 2, 3}
        assert torch.equal(found["scores"], found["scores"].sort(descending=True).values)


def test_one_image_is_detected_as_in_a_batch(trained: YoloDetector) -> None:
    _assert_alike(trained.detect(IMAGES[1:])[0], _detect(trained)[1])


def test_boxes_are_made_in_float32_whatever_the_network_runs_in(trained: YoloDetector) -> None:
    """bf16 has steps of four pixels at 640: where boxes are made of raw outputs it would be seen."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = trained.detect(IMAGES)
    assert {value.dtype for each in found for value in each.values()} == {torch.float32, torch.int64}


def test_it_comes_back_from_its_state_dict_with_the_same_detections(trained: YoloDetector) -> None:
    row = BUILT_IN["yolox_nano" if isinstance(trained._network, Yolox) else "yolov9_t"]
    again = family.rebuild(
        row,
        structure=trained.structure(),
        state=trained.module.state_dict(),
        classes=CLASSES,
        image_size=ImageSize(min=64, max=64),
        options={},
    )
    again.module.eval()
    again.set_postprocessing(score_threshold=0.001, detections=200)
    for before, after in zip(_detect(trained), _detect(again), strict=True):
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_phases_are_marked_twice_and_no_longer_afterwards(trained: YoloDetector) -> None:
    marks: list[int] = []
    with trained.mark_phases(lambda: marks.append(1)):
        trained.detect(IMAGES)
    trained.detect(IMAGES)
    assert len(marks) == 2


def test_an_exported_file_detects_the_same_in_images_of_other_sizes(trained: YoloDetector) -> None:
    """Traced on a wide image, run on a high one: the resize, the margins and the boxes follow its sides."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(to_onnx(trained, torch.rand(3, 40, 90)))
    for image in IMAGES:
        (found,) = trained.detect([image])
        names = [output.name for output in session.get_outputs()]
        values = map(torch.from_numpy, session.run(names, {"image": image.numpy()}))
        _assert_alike(found, dict(zip(names, values, strict=True)))


@pytest.mark.parametrize("name", NAMES)
def test_channels_last_detects_the_same(name: str) -> None:
    detector = _detector(name)
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.0, detections=5)
    plain = detector.detect(IMAGES)
    detector.use_channels_last()
    for before, after in zip(plain, detector.detect(IMAGES), strict=True):
        torch.testing.assert_close(before["scores"], after["scores"], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_compiles_without_graph_breaks_and_detects_the_same(name: str) -> None:
    detector = _detector(name)
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.0, detections=5)
    plain = detector.detect(IMAGES)
    assert "backbone" in detector.use_compiled()
    for before, after in zip(plain, detector.detect(IMAGES), strict=True):
        torch.testing.assert_close(before["scores"], after["scores"], rtol=1e-3, atol=1e-5)


def test_training_images_are_scaled_to_multiples_of_the_stride_and_detection_is_not() -> None:
    detector = _detector("yolox_nano", size=96)
    sizes: list[torch.Size] = []
    detector.module.backbone.register_forward_pre_hook(lambda _module, inputs: sizes.append(inputs[0].shape[-2:]))  # type: ignore[union-attr] # it is a module
    for scale in (0.4, 0.7, 1.3):
        detector.set_training_scale(scale)
        detector.losses(IMAGES, [TWO_BOXES, NO_BOX])
    detector.module.eval()
    detector.detect(IMAGES)
    assert [tuple(size) for size in sizes] == [(64, 64), (64, 64), (128, 128), (96, 96)]


@pytest.mark.parametrize("name", NAMES)
def test_the_stages_are_the_backbone_and_norms_have_no_decay(name: str) -> None:
    detector = _detector(name)
    backbone = detector.module.get_submodule("backbone.backbone" if name == "yolox_nano" else "backbone")
    staged = {id(parameter) for stage in detector.backbone_stages() for parameter in stage.parameters()}
    assert staged == {id(parameter) for parameter in backbone.parameters()}
    assert len(detector.backbone_stages()) == 5
    recipe = replace(resolve(BUILT_IN[name], {}), backbone_lr_factor=0.1)
    groups = detector.parameter_groups(recipe)
    assert sum(len(group["params"]) for group in groups) == len(list(detector.module.parameters()))
    assert {group.get("weight_decay") for group in groups} == {None, 0.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_learns_four_drawn_images(name: str) -> None:
    """From random weights; its norms' statistics follow at 3 % a step, so it takes a few hundred."""
    torch.manual_seed(0)
    detector = _detector(name, size=96)
    images, targets = _drawn(4)
    optimizer = torch.optim.SGD(detector.module.parameters(), lr=0.02, momentum=0.9)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.02 * min(1, (step + 1) / 10, (300 - step) / 100)
        optimizer.zero_grad()
        _backward(detector.losses(images, targets))
        optimizer.step()
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.001, detections=100)
    found = detector.detect(images)
    hits = [
        bool((box_iou(each["boxes"][each["labels"] == label][:4], box[None]) > 0.5).any())
        for each, target in zip(found, targets, strict=True)
        for box, label in zip(target["boxes"], target["labels"], strict=True)
    ]
    assert sum(hits) >= 0.75 * len(hits)


def _drawn(count: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Images with two bright rectangles each; the channel is the class."""
    generator = torch.Generator().manual_seed(1)
    images, targets = [], []
    for _ in range(count):
        image = torch.rand(3, 96, 120, generator=generator) * 0.2
        boxes, labels = [], []
        for left in (0, 60):
            width, height, label = (int(torch.randint(low, high, (), generator=generator)) for low, high in RANGES)
            image[label, 10 : 10 + height, left + 5 : left + 5 + width] = 0.9
            boxes.append([left + 5.0, 10.0, left + 5.0 + width, 10.0 + height])
            labels.append(label + 1)
        images.append(image)
        targets.append({"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)})
    return images, targets


RANGES = ((20, 50), (20, 70), (0, 3))
