"""The ImageNet weights inside a package are the real ones, and what has none on this machine says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile, PackageFile
from harness.suite.catalog.published import location
from harness.suite.catalog.timm import LITE0, LITE0_FILE
from harness.trial.models.timm import weights

STRIDES = (8, 16, 32)


def test_the_packages_classifier_knows_what_is_in_photographs() -> None:
    """A palace and a daisy, of the two photographs that scikit-learn carries, out of ImageNet's thousand classes."""
    photographs = Path(pytest.importorskip("sklearn").__file__).parent / "datasets" / "images"
    model = timm.create_model(LITE0).eval()
    model.load_state_dict(weights.lite0_state(location(LITE0_FILE)))
    for name, class_index in (("china.jpg", 698), ("flower.jpg", 985)):
        with Image.open(photographs / name) as picture:
            scale = 256 / min(picture.size)
            small = picture.convert("RGB").resize([round(side * scale) for side in picture.size])
        left, top = ((side - 224) // 2 for side in small.size)
        pixels = np.asarray(small.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
        with torch.inference_mode():
            scores = model((torch.from_numpy(pixels).permute(2, 0, 1)[None] - 0.5) / 0.5)
        assert scores.argmax() == class_index


def test_the_feature_maps_are_those_of_the_whole_model() -> None:
    """Every level of the backbone equals timm's own model with the same state, to the last bit."""
    whole = timm.create_model(LITE0).eval()
    whole.load_state_dict(weights.lite0_state(location(LITE0_FILE)))
    body = weights.pretrained(LITE0, STRIDES).eval()
    assert body.pretrained_cfg["mean"] == body.pretrained_cfg["std"] == (0.5, 0.5, 0.5)  # type: ignore[index]
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        maps, expected = body(images), whole.forward_intermediates(images, intermediates_only=True)
    assert len(maps) == len(expected) == 5
    assert all(torch.equal(one, other) for one, other in zip(maps, expected, strict=True))


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    """Layers are matched by position, so that all their shapes must agree."""
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other.pth: does not fit timm \S+'s tf_efficientnet_lite0"):
        weights.lite0_state(tmp_path / "other.pth")


def test_each_backbone_has_its_file() -> None:
    """The default's is in a package, others are on the hub under the tag that timm takes first, or have none."""
    assert isinstance(weights.published_file(LITE0), PackageFile)
    assert weights.published_file("resnet18") == HubFile(repo="timm/resnet18.a1_in1k")
    assert weights.published_file("resnet18.tv_in1k") == HubFile(repo="timm/resnet18.tv_in1k")
    with pytest.raises(WeightsError, match="timm .* publishes no weights of it"):
        weights.published_file("regnetz_005")


def test_the_hubs_cache_serves_other_backbones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the file one sentence says where it was looked for; with it, its tensors are in the backbone."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        WeightsError, match="backbone resnet10t: timm/resnet10t.c3_in1k/model.safetensors is not in the cache"
    ):
        weights.pretrained("resnet10t", STRIDES)
    folder = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc123")
    (folder / "snapshots" / "abc123").mkdir(parents=True)
    state = timm.create_model("resnet10t").state_dict()
    save_file(state, folder / "snapshots" / "abc123" / "model.safetensors")
    body = weights.pretrained("resnet10t", STRIDES)
    assert torch.equal(body.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
