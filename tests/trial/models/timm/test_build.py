"""torchvision's heads on timm's backbones start from each kind of weights, and come back as the same detector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.errors import TrialError, WeightsError
from harness.suite.catalog.timm import ARCHITECTURES
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.timm import family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.trial.models.timm.detector import TimmDetector

BY_NAME = {row.name: row for row in ARCHITECTURES}
SIZE = ImageSize(min=64, max=96)
CLASSES = 2
SMALL: dict[str, Any] = {"backbone": "test_resnet", "fpn_channels": 64}


def _build(name: str, word: str = "none", classes: int = CLASSES, **options: Any) -> tuple[TimmDetector, str]:
    torch.manual_seed(0)
    return family.build(
        BY_NAME[name], weights=word, classes=classes, image_size=SIZE, options={"fpn_channels": 64, **options}
    )


def _detect(detector: TimmDetector) -> Mapping[str, torch.Tensor]:
    detector.module.eval()
    detector.set_postprocessing(score_threshold=0.0, detections=100)
    with torch.inference_mode():
        return detector.detect([torch.rand(3, 70, 90, generator=torch.Generator().manual_seed(3))])[0]


def _save(detector: TimmDetector, name: str, path: Path, word: str, model: dict[str, Any]) -> None:
    architecture = TrialArchitecture(name=name, weights=word, weights_sha256=None, image_size=SIZE, model=model)
    checkpoint.save(path, detector, architecture, ("a", "b"))


def _assert_same(first: TimmDetector, second: Any) -> None:
    assert checkpoint.state_sha256(first.module) == checkpoint.state_sha256(second.module)
    assert first.structure() == second.structure()
    one, other = _detect(first), _detect(second)
    assert len(one["scores"]) > 0
    assert all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("name", BY_NAME)
def test_a_checkpoint_gives_the_same_detections(name: str, tmp_path: Path) -> None:
    """Started from the package's weights, stepped, saved, loaded: same bits, same frozen parts; as a start too."""
    detector, head = _build(name, "backbone")
    assert head == "new"
    before = detector.module.get_parameter("backbone.body.blocks.1.0.conv_pw.weight").detach().clone()
    images = [torch.rand(3, 64, 64), torch.rand(3, 48, 80)]
    targets = [
        {"boxes": torch.tensor([[4.0, 4.0, 40.0, 50.0]]), "labels": torch.tensor([2])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    torch.autograd.backward(sum(detector.losses(images, targets).values(), torch.zeros(())))
    torch.optim.SGD(detector.module.parameters(), lr=0.01).step()
    assert not torch.equal(detector.module.get_parameter("backbone.body.blocks.1.0.conv_pw.weight"), before)
    assert len(detector.structure()["frozen_norms"]) == 48
    _save(detector, name, tmp_path / "weights.pt", "backbone", {"fpn_channels": 64})
    loaded, names = checkpoint.load_detector(tmp_path / "weights.pt")
    assert names == ("a", "b")
    _assert_same(detector, loaded)
    again, kept = _build(name, str(tmp_path / "weights.pt"))
    assert kept == "kept"
    _assert_same(detector, again)
    other, replaced = _build(name, str(tmp_path / "weights.pt"), classes=5)
    assert replaced == "replaced"
    assert other.structure()["frozen_norms"] == detector.structure()["frozen_norms"]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_backbone_of_the_suites_choice_is_remembered(name: str, tmp_path: Path) -> None:
    """With other anchors where it has any; a file of another backbone, or without its anchors, is refused."""
    options = dict(SMALL)
    if name != "fcos_timm":
        options |= {"anchor_sizes": ((4.0,), (8.0,), (16.0,), (32.0,), (64.0,)), "aspect_ratios": (1.0,)}
    detector, _ = _build(name, **options)
    _save(detector, name, tmp_path / "weights.pt", "none", options)
    _assert_same(detector, checkpoint.load_detector(tmp_path / "weights.pt")[0])
    with pytest.raises(WeightsError, match="was trained with backbone: test_resnet; name that one"):
        _build(name, str(tmp_path / "weights.pt"))
    if name != "fcos_timm":
        with pytest.raises(WeightsError, match="was trained with anchor_sizes, aspect_ratios: give these"):
            _build(name, str(tmp_path / "weights.pt"), **SMALL)


def test_a_state_dict_without_counters_had_frozen_norms(tmp_path: Path) -> None:
    """A file from elsewhere does not say how it was built; its names do."""
    pretrained, _ = _build("fcos_timm", "backbone")
    torch.save(pretrained.module.state_dict(), tmp_path / "frozen.pth")
    frozen, _ = _build("fcos_timm", str(tmp_path / "frozen.pth"))
    assert frozen.structure() == pretrained.structure()
    live, _ = _build("fcos_timm")
    torch.save({"model": live.module.state_dict()}, tmp_path / "live.pth")
    again, _ = _build("fcos_timm", str(tmp_path / "live.pth"))
    assert again.structure()["frozen_norms"] == []
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other.pth: is not a state dict of fcos_timm"):
        _build("fcos_timm", str(tmp_path / "other.pth"))


def test_images_are_normalised_as_the_backbone_was_trained() -> None:
    """Each backbone has its own mean and deviation; the suite's own come before them."""
    assert _build("fcos_timm")[0].structure()["image_mean"] == [0.5, 0.5, 0.5]
    resnet = _build("fcos_timm", backbone="resnet10t")[0].structure()
    assert resnet["image_mean"] == pytest.approx([0.485, 0.456, 0.406])
    own = _build("fcos_timm", **SMALL, image_mean=(0.1, 0.2, 0.3))[0].structure()
    assert own["image_mean"] == pytest.approx([0.1, 0.2, 0.3])


def test_the_stages_of_the_backbone_are_told() -> None:
    """So that `trainable_layers` and `backbone_lr_factor` know which parameters are the backbone's."""
    detector, _ = _build("retinanet_timm", **SMALL)
    of_stages = {id(p) for stage in detector.backbone_stages() for p in stage.parameters()}
    names = {name for name, p in detector.module.named_parameters() if id(p) in of_stages}
    assert names == {name for name, _ in detector.module.named_parameters() if name.startswith("backbone.body.")}


@pytest.mark.parametrize("channels", [0, 32, 80])
def test_channels_that_no_head_can_have_are_refused(channels: int) -> None:
    """FCOS normalises its towers in 32 groups, each of two channels at least."""
    with pytest.raises(TrialError, match=f"fpn_channels: {channels}: fcos_timm takes a multiple of 32 from 64 on"):
        _build("fcos_timm", backbone="test_resnet", fpn_channels=channels)
