"""Each way to run the same weights finds the same things, or says why it cannot."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import get_args

import pytest
import torch

from harness.errors import UnsupportedVariant
from harness.suite import deployment
from harness.suite.catalog.torchvision import ARCHITECTURES
from harness.suite.schema import ImageSize, SyntheticDataset, SyntheticImages, VariantName
from harness.suite.trial import TrialArchitecture, TrialDataset
from harness.trial.deploy import base, onnx, registry
from harness.trial.deploy.agreement import agreement
from harness.trial.evaluate.detect import Detections
from harness.trial.inputs.dataset import open_dataset
from harness.trial.models import checkpoint
from harness.trial.models.base import Detector
from harness.trial.models.torchvision import family

CPU = torch.device("cpu")
BY_NAME = {row.name: row for row in ARCHITECTURES}
NAMES = list(BY_NAME)
MOBILE = "fasterrcnn_mobilenet_v3_large_fpn"
DRAWN = TrialDataset(
    name="shapes",
    fingerprint="",
    source=SyntheticDataset(
        format="synthetic", train=SyntheticImages(images=5), val=SyntheticImages(images=1), size=96, classes=2
    ),
)


MakeWeights = Callable[[str], base.Weights]


@pytest.fixture(scope="module")
def weights_of(tmp_path_factory: pytest.TempPathFactory) -> MakeWeights:
    """Random weights of a small detector of few proposals, by the architecture's name."""
    folder = tmp_path_factory.mktemp("weights")

    @functools.cache
    def weights(name: str) -> base.Weights:
        torch.manual_seed(0)
        size = ImageSize(min=64, max=96)
        known = {option.name for option in BY_NAME[name].options}
        options = dict.fromkeys(known & {"rpn_post_nms_top_n_test", "topk_candidates"}, 60)
        detector, _ = family.build(BY_NAME[name], weights="none", classes=2, image_size=size, options=options)
        if name.startswith("ssdlite"):
            _follow_batches(detector)
        choice = TrialArchitecture(name=name, weights="none", weights_sha256=None, image_size=size, model=options)
        path = folder / f"{name}.pt"
        checkpoint.save(path, detector, choice, ("disc", "ring"))
        items = open_dataset(DRAWN, max_images=5, import_folder=folder).splits["train"]
        return base.Weights(
            checkpoint=path, row=BY_NAME[name], precision="fp32", tf32=False, device=CPU, threads=2, calibration=items
        )

    return weights


def _follow_batches(detector: Detector) -> None:
    """Let norms take the statistics of a few batches: a fresh MobileNet's features vanish, and all scores are equal."""
    for norm in detector.module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = None  # the mean of all batches
    images = [torch.rand(3, 96, 96) for _ in range(4)]
    target = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 60.0]]), "labels": torch.tensor([1])}
    detector.module.train()
    with torch.no_grad():
        for _ in range(3):
            detector.losses(images, [target] * len(images))
    detector.module.eval()


@pytest.fixture(scope="module")
def found_by_weights(weights_of: MakeWeights) -> Callable[[str], list[Detections]]:
    """What the weights find as they are, by the architecture's name."""
    return functools.cache(lambda name: _found(_load("eager-fp32", weights_of(name))))


def _found(loaded: base.Deployment) -> list[Detections]:
    """In images of sizes that none was traced or compiled with."""
    generator = torch.Generator().manual_seed(2)
    images = [torch.rand(3, *size, generator=generator) for size in ((112, 90), (64, 140))]
    loaded.set_threshold(0.001, 100)
    return [detections for image in images for detections in loaded.detect([image])]


def _images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator) for size in ((96, 128), (128, 96), (80, 80))]


def _load(variant: VariantName, weights: base.Weights) -> base.Deployment:
    return registry.load(variant, weights, _images(), score_threshold=0.001, detections=100)


def _is_quick(variant: str, name: str) -> bool:
    """All variants of the smallest detector."""
    if variant in {"compile", "openvino-int8"}:  # half a minute each
        return False
    return name == MOBILE


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        pytest.param(variant, name, marks=() if _is_quick(variant, name) else pytest.mark.slow)
        for variant, name in itertools.product(get_args(VariantName), NAMES)
    ],
)
def test_a_variant_finds_what_the_weights_find(
    name: str, variant: VariantName, weights_of: MakeWeights, found_by_weights: Callable[[str], list[Detections]]
) -> None:
    """Also at sizes that none was traced or compiled with."""
    loaded = _load(variant, weights_of(name))
    plain, found = found_by_weights(name), _found(loaded)
    assert all(len(detections.scores) for detections in plain)
    assert all(torch.isfinite(detections.boxes).all() for detections in found)
    if variant not in {"eager-bf16", "eager-fp16", "openvino-int8"}:  # random weights' scores are too alike for them
        assert agreement(plain, found, max_score_difference=0.05) >= 0.9
    assert loaded.how


def test_half_precision_says_which_way_it_went(weights_of: MakeWeights) -> None:
    """On a CPU there is no NMS in half: autocast, and the reason is told."""
    assert "by autocast; not as a whole: " in _load("eager-fp16", weights_of(MOBILE)).how


def test_an_export_that_detects_otherwise_is_refused(weights_of: MakeWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared before anything is timed: the variant is a row that says why."""
    weights = weights_of(MOBILE)
    original = onnx.to_onnx

    def spoilt(detector: Detector, image: torch.Tensor) -> bytes:
        with torch.no_grad():
            detector.module.get_parameter("roi_heads.box_predictor.bbox_pred.bias").add_(3.0)
        return original(detector, image)

    monkeypatch.setattr(onnx, "to_onnx", spoilt)
    with pytest.raises(UnsupportedVariant, match="detects something else than the model it was made of"):
        _load("onnxruntime", weights)


def test_what_a_runtime_raises_is_the_reason(weights_of: MakeWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, without the place in a library's source; a missing package names the extra that brings it."""
    weights = weights_of(MOBILE)

    def broken(*_: object) -> bytes:
        raise RuntimeError('operator(), /x/y/nms_kernel.cpp:122, "nms_kernel" not implemented\nC++ frames: …')

    monkeypatch.setattr(onnx, "to_onnx", broken)
    with pytest.raises(UnsupportedVariant, match='^RuntimeError: "nms_kernel" not implemented$'):
        _load("onnxruntime", weights)


@pytest.mark.parametrize(
    ("variant", "package", "extra"),
    [
        ("onnxruntime", "onnxruntime", "onnx"),
        ("openvino", "openvino", "openvino"),
        ("openvino-int8", "nncf", "openvino"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    variant: VariantName, package: str, extra: str, weights_of: MakeWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with nothing else: nobody looks for the name of an extra."""
    monkeypatch.setattr(deployment, "find_spec", lambda name: None if name == package else object())
    said = f"{package} is not installed: pip install 'detection-harness[{extra}]'"
    with pytest.raises(UnsupportedVariant, match=f"^{re.escape(said)}$"):
        _load(variant, weights_of(MOBILE))


def test_a_threshold_is_part_of_an_export(weights_of: MakeWeights) -> None:
    """Raising it leaves fewer detections, none below it, and exports anew; setting it again does not."""
    found = _load("onnxruntime", weights_of(MOBILE))
    assert found.exported is not None
    image = _images()[0]
    found.set_threshold(0.001, 100)
    (low,), first = found.detect([image]), found.exported()
    threshold = float(low.scores.median())
    found.set_threshold(threshold, 100)
    (high,) = found.detect([image])
    assert 0 < len(high.scores) < len(low.scores)
    assert float(high.scores.min()) >= threshold
    assert found.exported() != first
