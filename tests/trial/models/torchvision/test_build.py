"""Detectors are built as torchvision's users build them, and a fine-tuned one comes back as the same detector."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torchvision.models import get_model, get_model_builder
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d

from harness.errors import WeightsError
from harness.suite.catalog.torchvision import ARCHITECTURES
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.torchvision import build, family, weights
from harness.trial.models.torchvision.detector import TorchvisionDetector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.suite.catalog.torchvision import TorchvisionArchitecture
    from harness.trial.models.base import Detector

BY_NAME = {row.name: row for row in ARCHITECTURES}
# One of each kind by default; a ResNet-50 takes seconds to build, to save and to load.
QUICK = {
    "fasterrcnn_mobilenet_v3_large_fpn",
    "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
    "ssdlite320_mobilenet_v3_large_full_tail",
}


def _params(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


NAMES = _params(BY_NAME)
WITH_COCO = _params(name for name, row in BY_NAME.items() if "default" in row.published_files)
WORDS = [
    pytest.param(name, word, marks=() if name in QUICK else pytest.mark.slow)
    for name, row in BY_NAME.items()
    for word in (*row.published_files, "none")
]
NEW_LAYERS = {  # what replacing the class head makes anew
    "faster_rcnn": ("roi_heads.box_predictor.",),
    "mask_rcnn": ("roi_heads.box_predictor.", "roi_heads.mask_predictor."),
    "retinanet": ("head.classification_head.cls_logits.",),
    "ssd": ("head.classification_head.",),
    "ssdlite": ("head.classification_head.",),
}
SIZE = ImageSize(min=64, max=96)
CLASSES = 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub cache in which `_build_detector` finds, under the published names, random weights of their shapes."""
    home = tmp_path_factory.mktemp("torch-home")
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    patch = pytest.MonkeyPatch()
    patch.setenv("TORCH_HOME", str(home))
    yield folder
    patch.undo()
    shutil.rmtree(home)


def _publish(row: TorchvisionArchitecture, word: str) -> Path:
    """The file that stands for published weights, written where the hub's cache has none yet."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / row.published_files[word]
    if path.exists():
        return path
    torch.manual_seed(1)
    if word == "backbone":
        state = get_model(row.backbone, weights=None).state_dict()
    else:
        state = get_model(row.name, weights=None, weights_backbone=None, num_classes=91).state_dict()
        live = row.frozen_norm_eps is None  # then the published file has counters of batches
        state = {name: _lively(name, value) for name, value in state.items() if live or "num_batches" not in name}
    torch.save(state, path)
    return path


def _lively(name: str, value: torch.Tensor) -> torch.Tensor:
    """Running statistics that are not 0 and 1, so that another eps or a live norm gives other features."""
    if name.endswith("running_var"):
        return torch.rand_like(value) * 0.5 + 0.75
    return torch.randn_like(value) * 0.01 if name.endswith("running_mean") else value


def _build_detector(name: str, word: str, classes: int = CLASSES) -> tuple[TorchvisionDetector, str]:
    if word in BY_NAME[name].published_files:
        _publish(BY_NAME[name], word)
    torch.manual_seed(0)
    return family.build(BY_NAME[name], weights=word, classes=classes, image_size=_size(name), options={})


def _size(name: str) -> ImageSize:
    """A small one, unless it takes one only."""
    low, high = BY_NAME[name].image_size
    return ImageSize(min=low, max=high) if BY_NAME[name].fixed_size else SIZE


def _build(name: str, word: str) -> tuple[nn.Module, str]:
    detector, head = _build_detector(name, word)
    return detector.module, head


def _detect(detector: Detector) -> Mapping[str, torch.Tensor]:
    images = [torch.rand(3, 70, 90, generator=torch.Generator().manual_seed(3))]
    detector.module.eval()
    with torch.inference_mode():
        return detector.detect(images)[0]


@pytest.mark.parametrize("name", WITH_COCO)
def test_default_is_torchvisions_pretrained_model_with_a_new_head(name: str, cache: Path) -> None:
    """Same norms, same frozen parameters and same tensors as torchvision's builder gives; only the head is new.

    The norms of frozen layers are frozen too, which the builders of v2 models leave out.
    """
    row = BY_NAME[name]
    _publish(row, "default")
    sizes = {} if row.fixed_size else {"min_size": 64, "max_size": 96}
    expected = get_model_builder(name)(weights=weights.member_of(row, "default"), **sizes)
    build.freeze_idle_norms(expected)
    model, head = _build(name, "default")
    assert head == "replaced"
    assert build.structure_of(model) == build.structure_of(expected)
    theirs = expected.state_dict()
    for key, value in model.state_dict().items():
        if not key.startswith(NEW_LAYERS[row.head]):
            assert torch.equal(value, theirs[key]), key
    assert build.head_of(row).count_classes(model.state_dict(), model) == CLASSES + 1


@pytest.mark.parametrize("name", WITH_COCO)
def test_a_file_of_published_weights_is_built_like_the_default(name: str, cache: Path) -> None:
    """A hand-copied COCO file gives the same frozen norms, eps and frozen parameters as `weights: default`."""
    by_file, head = _build(name, str(_publish(BY_NAME[name], "default")))
    default, _ = _build(name, "default")
    assert head == "replaced"
    assert build.structure_of(by_file) == build.structure_of(default)


def test_a_state_dict_may_stand_under_model(cache: Path, tmp_path: Path) -> None:
    """As training scripts save it: `{"model": state_dict, …}` gives the same weights as the state dict alone."""
    name = "fasterrcnn_mobilenet_v3_large_fpn"
    alone = _publish(BY_NAME[name], "default")
    torch.save({"model": torch.load(alone, weights_only=True), "epoch": 3}, tmp_path / "script.pth")
    nested, _ = _build(name, str(tmp_path / "script.pth"))
    assert checkpoint.state_sha256(nested) == checkpoint.state_sha256(_build(name, str(alone))[0])


def test_heads_start_as_their_papers_say(cache: Path) -> None:
    """Faster R-CNN gets a FastRCNNPredictor; RetinaNet bias -log 99, std 0.01 and its head's num_classes."""
    faster, _ = _build("fasterrcnn_mobilenet_v3_large_fpn", "default")
    assert isinstance(faster.roi_heads.box_predictor, FastRCNNPredictor)  # type: ignore[union-attr]
    retina, _ = _build("retinanet_resnet50_fpn", "default")
    head = retina.head.classification_head  # type: ignore[union-attr]
    assert torch.allclose(head.cls_logits.bias, torch.tensor(-math.log(99)))  # type: ignore[union-attr,arg-type]
    assert head.cls_logits.weight.std().item() == pytest.approx(0.01, rel=0.05)  # type: ignore[union-attr,operator]
    assert head.num_classes == CLASSES + 1  # type: ignore[union-attr]


def test_backbone_only_is_frozen_and_none_is_live(cache: Path) -> None:
    """`backbone` freezes what torchvision freezes; `none` trains everything, with live norms."""
    pretrained, _ = _build("fasterrcnn_mobilenet_v3_large_fpn", "backbone")
    assert build.structure_of(pretrained).frozen_parameters
    assert any(isinstance(module, FrozenBatchNorm2d) for module in pretrained.modules())
    fresh, head = _build("fasterrcnn_mobilenet_v3_large_fpn", "none")
    assert head == "new"
    assert build.structure_of(fresh) == build.Structure(frozen_norms={}, frozen_parameters=())
    assert any(isinstance(module, nn.BatchNorm2d) for module in fresh.modules())


@pytest.mark.parametrize(("name", "word"), WORDS)
def test_a_checkpoint_gives_the_same_detections(name: str, word: str, cache: Path, tmp_path: Path) -> None:
    """Saved, loaded in a fresh model: the same detections to the last bit, the same frozen parts, the same hash."""
    detector, _ = _build_detector(name, word)
    model = detector.module
    detector.set_postprocessing(score_threshold=0.0, detections=100)
    architecture = TrialArchitecture(name=name, weights=word, weights_sha256=None, image_size=_size(name), model={})
    checkpoint.save(tmp_path / "weights.pt", detector, architecture, ("a", "b"))
    rebuilt, names = checkpoint.load_detector(tmp_path / "weights.pt")
    again = rebuilt.module
    rebuilt.set_postprocessing(score_threshold=0.0, detections=100)
    assert names == ("a", "b")
    assert build.structure_of(again) == build.structure_of(model)
    assert checkpoint.state_sha256(again) == checkpoint.state_sha256(model)
    first, second = _detect(detector), _detect(rebuilt)
    assert len(first["scores"]) > 0
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_retinanet_never_detects_the_background(cache: Path, tmp_path: Path) -> None:
    """With no threshold at all, fresh and reloaded, every label is a class; training sees the head unchanged."""
    name = "retinanet_resnet50_fpn"
    model, _ = _build_detector(name, "default")
    architecture = TrialArchitecture(name=name, weights="default", weights_sha256=None, image_size=SIZE, model={})
    checkpoint.save(tmp_path / "weights.pt", model, architecture, ("a", "b"))
    for detector in (model, checkpoint.load_detector(tmp_path / "weights.pt")[0]):
        detector.set_postprocessing(score_threshold=0.0, detections=1000)
        labels = _detect(detector)["labels"]
        assert len(labels) > 0
        assert labels.min() >= 1
    target = {"boxes": torch.tensor([[5.0, 5.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    assert all(torch.isfinite(loss) for loss in model.module.train()([torch.rand(3, 70, 90)], [target]).values())


def test_fcos_never_detects_the_background() -> None:
    """It has a sigmoid for label 0, too; and its highest label is one that it trains on."""
    model, _ = _build_detector("fcos_resnet50_fpn", "none")
    target = {"boxes": torch.tensor([[5.0, 5.0, 40.0, 40.0]]), "labels": torch.tensor([CLASSES])}
    losses = model.losses([torch.rand(3, 70, 90)], [target])
    assert all(torch.isfinite(loss) for loss in losses.values())
    model.set_postprocessing(score_threshold=0.0, detections=1000)
    assert set(_detect(model)["labels"].tolist()) == {1, CLASSES}


@pytest.mark.parametrize(
    "name",
    [
        "retinanet_resnet50_fpn_v2",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("fasterrcnn_resnet50_fpn_v2", "ssd300_vgg16")),
    ],
)
def test_training_changes_nothing_of_a_frozen_layer(name: str, cache: Path) -> None:
    """Neither its weights nor the running statistics of its norms, which v2 models of torchvision leave live."""
    detector, _ = _build_detector(name, "backbone")
    module = detector.module
    before = {key: value.clone() for key, value in module.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1e-3)
    targets = [{"boxes": torch.tensor([[5.0, 5.0, 40.0, 40.0]]), "labels": torch.tensor([1])}] * 2
    losses = detector.losses([torch.rand(3, 70, 90)] * 2, targets)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    stem = BY_NAME[name].frozen_prefixes
    changed = {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert not [key for key in changed if key.startswith(stem)]
    if name.endswith("_v2"):  # the other layers' norms do follow the images
        assert any(key.startswith("backbone.body.layer4") and key.endswith("running_mean") for key in changed)


def test_a_checkpoint_of_ours_continues_with_its_head(cache: Path, tmp_path: Path) -> None:
    """As `weights: PATH` for as many classes the head is kept; for another number it is replaced, the rest kept."""
    name = "retinanet_resnet50_fpn"
    detector, _ = _build_detector(name, "default")
    model = detector.module
    architecture = TrialArchitecture(name=name, weights="default", weights_sha256=None, image_size=SIZE, model={})
    checkpoint.save(tmp_path / "weights.pt", detector, architecture, ("a", "b"))
    same, head = _build(name, str(tmp_path / "weights.pt"))
    assert head == "kept"
    assert checkpoint.state_sha256(same) == checkpoint.state_sha256(model)
    assert build.structure_of(same) == build.structure_of(model)
    other, head = _build_detector(name, str(tmp_path / "weights.pt"), classes=5)
    assert head == "replaced"
    assert other.module.head.classification_head.num_classes == 6  # type: ignore[union-attr]


def test_weights_that_cannot_be_had_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No internet, no cached file: an error with the file, the folder, three alternatives; never random weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", _no_network)
    row = BY_NAME["fasterrcnn_resnet50_fpn"]
    with pytest.raises(WeightsError) as error:
        family.build(row, weights="default", classes=CLASSES, image_size=SIZE, options={})
    text = str(error.value)
    assert "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth" in text
    assert str(tmp_path / "hub" / "checkpoints") in text
    for alternative in ("weights: backbone", "weights: none", "weights: PATH"):
        assert alternative in text


def _no_network(*_: object, **__: object) -> None:
    from urllib.error import URLError

    raise URLError("no route to host")


@pytest.mark.parametrize("content", ["torn", "code", "foreign", "list", "text", "numbered", "half"])
def test_a_bad_file_is_refused(content: str, tmp_path: Path) -> None:
    """A truncated file, one with code in it, of another network, or no mapping: an error naming the file."""
    path = tmp_path / "w.pth"
    if content == "torn":
        torch.save({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:500])
    elif content == "code":
        torch.save({"a": Path("x")}, path)
    elif content == "foreign":
        torch.save({"fc.weight": torch.zeros(3)}, path)
    elif content == "text":
        path.write_text("version 1 of my weights")
    elif content == "numbered":
        torch.save({1: torch.zeros(3)}, path)
    elif content == "half":
        torch.save({"roi_heads.box_predictor.cls_score.bias": torch.zeros(3)}, path)
    else:
        torch.save([torch.zeros(3)], path)
    with pytest.raises(WeightsError, match=str(path)) as error:
        _build("fasterrcnn_mobilenet_v3_large_fpn", str(path))
    assert str(error.value).isprintable()


ANCHORS = {
    "fasterrcnn_resnet50_fpn": ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)),
    "fasterrcnn_mobilenet_v3_large_fpn": ((8.0, 16.0), (24.0, 32.0), (48.0, 64.0)),
    "retinanet_resnet50_fpn": ((8.0, 12.0), (16.0, 24.0), (32.0, 48.0), (64.0, 96.0), (128.0, 192.0)),
}
for twin, name in (
    ("fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn"),
    ("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn"),
    ("retinanet_resnet50_fpn_v2", "retinanet_resnet50_fpn"),
):
    ANCHORS[twin] = ANCHORS[name]
WITH_ANCHORS = _params(ANCHORS)
RATIOS = (0.25, 0.5, 1.0, 2.0)
OPTIONS = {"aspect_ratios": RATIOS, "image_mean": (0.1, 0.2, 0.3), "image_std": (0.5, 0.6, 0.7)}


def _with(name: str, word: str, **options: object) -> TorchvisionDetector:
    if word in BY_NAME[name].published_files:
        _publish(BY_NAME[name], word)
    torch.manual_seed(0)
    return family.build(BY_NAME[name], weights=word, classes=CLASSES, image_size=SIZE, options=options)[0]


@pytest.mark.parametrize("word", ["none", "backbone", "default"])
@pytest.mark.parametrize("name", WITH_ANCHORS)
def test_anchors_and_normalisation_are_those_of_the_options(name: str, word: str, cache: Path) -> None:
    """The boxes that the network starts from have these sizes and ratios, and what enters it is normalised by these."""
    detector = _with(name, word, anchor_sizes=ANCHORS[name], **OPTIONS)
    model: Any = detector.module
    generator = build.head_of(BY_NAME[name]).anchors(model)
    for cells, sizes in zip(generator.cell_anchors, ANCHORS[name], strict=True):
        width, height = (cells[:, 2:] - cells[:, :2]).unbind(dim=1)
        expected = [(size * ratio**-0.5, size * ratio**0.5) for ratio in RATIOS for size in sizes]
        assert torch.allclose(torch.stack((width, height), dim=1), torch.tensor(expected), atol=1.01)  # it rounds
    entered: list[torch.Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _module, inputs: entered.append(inputs[0]))
    model.eval()
    with torch.inference_mode():
        detector.detect([torch.full((3, 64, 64), 0.4)])
    assert entered[0][0, :, 0, 0].tolist() == pytest.approx([0.3 / 0.5, 0.2 / 0.6, 0.1 / 0.7], abs=1e-6)
    model.train()
    target = {"boxes": torch.tensor([[4.0, 4.0, 30.0, 40.0]]), "labels": torch.tensor([1])}
    losses = detector.losses([torch.rand(3, 64, 64)], [target])
    assert all(math.isfinite(loss.item()) for loss in losses.values())


@pytest.mark.parametrize("name", WITH_ANCHORS)
def test_pretrained_heads_stay_where_their_shapes_allow(name: str, cache: Path) -> None:
    """Other sizes of as many anchors keep every weight; more anchors make the last layers new, and nothing before."""
    default = _with(name, "default").module.state_dict()
    generator = build.head_of(BY_NAME[name]).anchors(_with(name, "default").module)
    halves = tuple(tuple(size / 2 for size in level) for level in generator.sizes)
    same = _with(name, "default", anchor_sizes=halves).module.state_dict()
    assert all(torch.equal(same[key], value) for key, value in default.items())
    more = _with(name, "default", aspect_ratios=RATIOS).module.state_dict()
    new = {key for key, value in default.items() if more[key].shape != value.shape}
    layers = {key.rsplit(".", 2)[-2] for key in new}
    assert layers == ({"cls_logits", "bbox_reg"} if "retinanet" in name else {"cls_logits", "bbox_pred"})
    heads = ("roi_heads.box_predictor", "head.classification_head.cls_logits")  # new for the classes' sake
    for key, value in default.items():
        assert key in new or key.startswith(heads) or torch.equal(more[key], value), key


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_ANCHORS)
def test_a_detector_with_options_comes_back_and_trains_on(name: str, tmp_path: Path) -> None:
    """From its file alone it detects the same; as weights of another training it needs its options said, and keeps."""
    options: dict[str, Any] = {"anchor_sizes": ANCHORS[name], **OPTIONS}
    detector = _with(name, "none", **options)
    choice = TrialArchitecture(name=name, weights="none", weights_sha256=None, image_size=SIZE, model=options, own=None)
    path = tmp_path / "weights.pt"
    checkpoint.save(path, detector, choice, ("a", "b"))
    again, _ = checkpoint.load_detector(path)
    for key, value in _detect(detector).items():
        assert torch.equal(_detect(again)[key], value)

    with pytest.raises(
        WeightsError, match=r"was trained with anchor_sizes, aspect_ratios, image_mean, image_std: give"
    ):
        _with(name, str(path))
    kept = _with(name, str(path), **options).module
    assert checkpoint.state_sha256(kept) == checkpoint.state_sha256(detector.module)
    other = _with(name, str(path), **{**options, "aspect_ratios": (1.0,)})
    assert build.head_of(BY_NAME[name]).anchors(other.module).aspect_ratios[0] == (1.0,)
    assert _detect(other)["boxes"].shape[1] == 4
