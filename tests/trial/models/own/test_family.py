"""A network of the user's becomes a detector; what is wrong with one is one sentence that says what is expected."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from harness.errors import TrialError, UnsupportedVariant, WeightsError
from harness.suite.catalog.own import own_model
from harness.suite.schema import ImageSize
from harness.trial.models.base import Family
from harness.trial.models.own.detector import OwnDetector
from harness.trial.models.registry import family_of

FILE = Path(__file__).with_name("networks.py")
SIZE = ImageSize(min=32, max=48)
IMAGES = [torch.rand(3, 32, 40, generator=torch.Generator().manual_seed(0)), torch.zeros(3, 40, 32)]
TARGET = {"boxes": torch.tensor([[1.0, 2.0, 20.0, 30.0]]), "labels": torch.tensor([1])}


def _built(function: str = "build", weights: str = "none", classes: int = 3, **options: str) -> OwnDetector:
    row = own_model("mine", f"{FILE}:{function}")
    detector, _ = family_of(row).build(row, weights=weights, classes=classes, image_size=SIZE, options=options)
    assert isinstance(detector, OwnDetector)
    return detector


def _detected(detector: OwnDetector) -> Mapping[str, torch.Tensor]:
    detector.module.eval()
    with torch.inference_mode():
        (found,) = detector.detect(IMAGES[:1])
    return found


def test_its_module_is_a_family() -> None:
    """Found by the row's name of it, as all families are."""
    assert isinstance(family_of(own_model("mine", f"{FILE}:build")), Family)


def test_detections_are_filtered_and_sorted() -> None:
    """Whatever the network keeps and however it orders: above the threshold, the best first, as many as asked."""
    detector = _built(wrong="unsorted")
    everything = _detected(detector)
    assert everything["scores"].tolist() == sorted(everything["scores"].tolist(), reverse=True)
    detector.set_postprocessing(score_threshold=float(everything["scores"][1]), detections=100)
    assert len(_detected(detector)["scores"]) == 1
    detector.set_postprocessing(score_threshold=0.0, detections=2)
    two = _detected(detector)
    assert torch.equal(two["scores"], everything["scores"][:2])
    assert torch.equal(two["labels"], everything["labels"][:2])
    assert two["labels"].dtype == torch.int64


@pytest.mark.parametrize(
    ("function", "wrong", "problem"),
    [
        ("gone", "", "networks.py has no gone"),
        ("NUMBER", "", "is a int, which cannot be called; define it as def build(*, num_classes, image_size)"),
        ("build_without_size", "", "cannot be called as build(num_classes=…, image_size=…): got an unexpected keyword"),
        ("build", "raises", "raised RuntimeError: the third layer is missing"),
        ("build", "no module", "returned a object, expected a torch.nn.Module that follows torchvision's convention"),
    ],
)
def test_what_builds_no_network_is_refused(function: str, wrong: str, problem: str) -> None:
    """With the import path, and what is wanted."""
    options: Mapping[str, Any] = {"wrong": wrong} if wrong else {}
    with pytest.raises(TrialError, match=re.escape(problem)):
        _built(function, **options)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("list", "in training the network must return a dict of losses by name, got a list"),
        ("per image", "the loss 'loss' must be a tensor with one number, got a tensor of shape [2]"),
    ],
)
def test_losses_of_another_form_are_refused(wrong: str, problem: str) -> None:
    """Before they are added up to something else than was meant."""
    with pytest.raises(TrialError, match=re.escape(problem)):
        _built(wrong=wrong).losses(IMAGES, [TARGET, TARGET])


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("count", "in evaluation the network must return a list, a dict for each image: 0 for 2 images"),
        ("keys", "got one with boxes, scores"),
        ("float labels", "labels must be whole numbers from 1, got torch.float32"),
    ],
)
def test_detections_of_another_form_are_refused(wrong: str, problem: str) -> None:
    """With what was got."""
    detector = _built(wrong=wrong)
    detector.module.eval()
    with pytest.raises(TrialError, match=re.escape(problem)):
        detector.detect(IMAGES)


def test_weights_default_are_the_functions_own() -> None:
    """It is told by its argument `weights`; a function without one has none, which is said."""
    detector = _built("build_with_weights", "default")
    assert float(detector.module.get_parameter("scale.weight").detach().min()) == 0.25
    with pytest.raises(WeightsError, match="takes no weights, so there are no default ones"):
        _built("build", "default")


def test_a_file_of_weights_keeps_what_fits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All of it for as many classes; for others the tensors of other shapes are new, which the log says."""
    trained = _built()
    path = tmp_path / "weights.pt"
    torch.save(trained.module.state_dict(), path)
    row = own_model("mine", f"{FILE}:build")
    kept, head = family_of(row).build(row, weights=str(path), classes=3, image_size=SIZE, options={})
    assert head == "kept"
    assert torch.equal(kept.module.state_dict()["scale.weight"], trained.module.state_dict()["scale.weight"])
    with pytest.raises(WeightsError, match="none of its 2 tensors has the shape"):
        _built(weights=str(path), classes=5)
    torch.save({"model": {"scale.weight": torch.ones(1)}}, path)
    with pytest.raises(WeightsError, match=r"is not a state dict of this network: it lacks scale.bias"):
        _built(weights=str(path))
    torch.save({**trained.module.state_dict(), "scale.bias": torch.ones(7)}, path)
    with caplog.at_level(logging.WARNING):
        _, head = family_of(row).build(row, weights=str(path), classes=3, image_size=SIZE, options={})
    assert head == "replaced"
    assert "left out, for their shapes belong to other classes: scale.bias" in caplog.text


def test_frozen_parts_come_back() -> None:
    """The structure says which they are."""
    detector = _built()
    detector.module.get_parameter("scale.bias").requires_grad_(False)
    row = own_model("mine", f"{FILE}:build")
    again = family_of(row).rebuild(
        row,
        structure=detector.structure(),
        state=detector.module.state_dict(),
        classes=3,
        image_size=SIZE,
        options={},
    )
    assert [p.requires_grad for p in again.module.parameters()] == [True, False]


def test_what_torchvision_has_is_used() -> None:
    """The thresholds of a network that keeps them as torchvision's do, and where its phases divide."""
    network = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=3, min_size=32, max_size=32, rpn_post_nms_top_n_test=20
    )
    detector = OwnDetector(network, "mine:build")
    detector.set_postprocessing(score_threshold=0.001, detections=3)
    assert (network.roi_heads.score_thresh, network.roi_heads.detections_per_img) == (0.001, 3)
    marks: list[int] = []
    with detector.mark_phases(lambda: marks.append(len(marks))):
        assert len(_detected(detector)["scores"]) == 3
    assert marks == [0, 1]
    _detected(detector)
    assert marks == [0, 1]
    assert "postprocess_detections" not in vars(network.roi_heads)


def test_what_it_cannot_do_is_said() -> None:
    """A network without a submodule `backbone` has no part to compile."""
    with pytest.raises(UnsupportedVariant, match="only a submodule `backbone` is compiled, and it has none"):
        _built().use_compiled()
    assert not list(_built().backbone_stages())
    with pytest.raises(TrialError, match=r"has no method set_training_scale\(scale\), so it trains at one image size"):
        _built().set_training_scale(1.5)


def test_stages_are_those_that_the_network_names() -> None:
    """By its method `backbone_stages`."""

    class Staged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def backbone_stages(self) -> list[nn.Module]:
            return [self.first, self.second]

    network = Staged()
    assert list(OwnDetector(network, "mine:build").backbone_stages()) == [network.first, network.second]
