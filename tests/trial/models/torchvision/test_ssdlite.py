"""SSDlite is two networks, and a name of the catalogue is one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torchvision.models import MobileNet_V3_Large_Weights, get_model_builder, mobilenet_v3_large
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from harness.suite.catalog.torchvision import ARCHITECTURES
from harness.suite.schema import ImageSize
from harness.trial.models.torchvision import family, ssdlite

if TYPE_CHECKING:
    from pathlib import Path

BY_NAME = {row.name: row for row in ARCHITECTURES}
REDUCED, WHOLE = "ssdlite320_mobilenet_v3_large", "ssdlite320_mobilenet_v3_large_full_tail"


def _shapes(name: str, word: str) -> dict[str, torch.Size]:
    size = ImageSize(min=320, max=320)
    detector, _ = family.build(BY_NAME[name], weights=word, classes=2, image_size=size, options={})
    return {key: tensor.shape for key, tensor in detector.module.state_dict().items()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with files of random weights under the published names."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    coco = get_model_builder(REDUCED)(weights=None, weights_backbone=None, num_classes=91)
    torch.save(coco.state_dict(), folder / BY_NAME[REDUCED].published_files["default"])
    torch.save(mobilenet_v3_large().state_dict(), folder / BY_NAME[WHOLE].published_files["backbone"])
    return folder


def test_a_name_is_one_network_whatever_it_starts_from(hub: Path) -> None:
    """From COCO weights and from none; from an ImageNet backbone and from none: the tensors have the same shapes."""
    assert hub.is_dir()
    reduced, whole = _shapes(REDUCED, "default"), _shapes(WHOLE, "backbone")
    assert _shapes(REDUCED, "none") == reduced
    assert _shapes(WHOLE, "none") == whole
    assert reduced != whole


def test_the_whole_tail_is_torchvisions_from_an_imagenet_backbone(hub: Path) -> None:
    """Weight by weight and detection by detection, with the same stages frozen."""
    assert hub.is_dir()
    how = {
        "weights": None,
        "weights_backbone": MobileNet_V3_Large_Weights.IMAGENET1K_V1,
        "num_classes": 3,
        "trainable_backbone_layers": 2,
    }
    torch.manual_seed(0)
    theirs = ssdlite320_mobilenet_v3_large(**how)
    torch.manual_seed(0)
    ours = ssdlite.build(**how)
    assert [p.requires_grad for p in ours.parameters()] == [p.requires_grad for p in theirs.parameters()]
    for (name, value), (other, expected) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(value, expected), name
    image = [torch.rand(3, 100, 140)]
    with torch.inference_mode():
        for key, value in ours.eval()(image)[0].items():
            assert torch.equal(value, theirs.eval()(image)[0][key])


def test_it_trains_on_two_images_and_not_on_one() -> None:
    """Its last feature map is one pixel, which batch normalisation cannot normalise alone; its row says so."""
    size = ImageSize(min=320, max=320)
    for name in (REDUCED, WHOLE):
        detector, _ = family.build(BY_NAME[name], weights="none", classes=2, image_size=size, options={})
        target = {"boxes": torch.tensor([[4.0, 4.0, 40.0, 50.0]]), "labels": torch.tensor([2])}
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            detector.losses([torch.rand(3, 64, 64)], [target])
        losses = detector.losses([torch.rand(3, 64, 64)] * 2, [target] * 2)
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert BY_NAME[name].min_batch == 2
