"""RT-DETRv2 starts from any backbone of transformers: a repository in the hub's cache, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import HarnessError, WeightsError
from harness.suite.catalog.architecture import Value
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint, fetch, trainable
from harness.trial.models.registry import family_of
from harness.trial.models.transformers import network
from harness.trial.models.transformers.detector import TransformersDetector
from harness.trial.models.transformers_backbone import family
from tests.trial.models.transformers.test_detector import drawn
from tests.trial.models.transformers.tiny import tiny
from tests.trial.models.transformers_backbone.files import CONVNEXT, save

NAME = "rtdetr_v2_transformers"
SIZE = ImageSize(min=64, max=64)


def built(backbone: Path | str, weights: str = "backbone") -> TransformersDetector:
    torch.manual_seed(0)
    options = {"backbone": str(backbone), "queries": 20}
    return family.build(tiny(NAME), weights=weights, classes=2, image_size=SIZE, options=options)[0]


def test_a_folder_gives_every_tensor_of_the_backbone(tmp_path: Path) -> None:
    """Nothing of it is random; the whole trains, comes back from its file, and starts another training."""
    published = save(tmp_path / "own")
    assert family_of(BUILT_IN[NAME]) is family
    detector = built(tmp_path / "own")
    body = network.backbone(detector.module)
    assert all(torch.equal(value, published[f"resnet.{name}"]) for name, value in body.state_dict().items())
    assert {type(part).__name__ for part in body.modules() if "Norm" in type(part).__name__} == {
        "RTDetrV2FrozenBatchNorm2d"
    }
    assert detector.structure()["pixel_mean"] == [0.4, 0.5, 0.6]
    assert len(detector.backbone_stages()) == 5
    assert all(torch.isfinite(part) for part in detector.losses(*drawn()).values())
    detector.module.eval()
    model: dict[str, Value] = {"queries": 20, "backbone": str(tmp_path / "own")}
    choice = TrialArchitecture(name=NAME, weights="backbone", weights_sha256=None, image_size=SIZE, model=model)
    file = tmp_path / "weights.pt"
    checkpoint.save(file, detector, choice, ("a", "b"))
    (tmp_path / "own" / "config.json").unlink()
    again, _ = checkpoint.load_detector(file)
    with torch.inference_mode():
        before, after = detector.detect(drawn()[0]), again.detect(drawn()[0])
    assert all(torch.equal(one["scores"], two["scores"]) for one, two in zip(before, after, strict=True))
    further, head = family.build(tiny(NAME), weights=str(file), classes=2, image_size=SIZE, options={})
    assert head == "kept"
    assert further.structure()["pixel_std"] == detector.structure()["pixel_std"]
    elsewhere = {"backbone": str(tmp_path / "copy" / "own"), "queries": 10}  # the same folder on another machine
    fewer, _ = family.build(tiny(NAME), weights=str(file), classes=2, image_size=SIZE, options=elsewhere)
    assert fewer.structure()["config"]["num_queries"] == 10
    with pytest.raises(WeightsError, match=r"weights.pt: its backbone is .*own': name that one, or leave out a/b"):
        family.build(tiny(NAME), weights=str(file), classes=2, image_size=SIZE, options={"backbone": "a/b"})
    detector.module.save_pretrained(tmp_path / "folder")  # type: ignore[operator]
    with pytest.raises(WeightsError, match="does not say what its backbone is called: leave out backbone: a/b"):
        family.build(
            tiny(NAME), weights=str(tmp_path / "folder"), classes=2, image_size=SIZE, options={"backbone": "a/b"}
        )


def test_norms_that_feature_maps_have_besides_start_as_the_identity(tmp_path: Path) -> None:
    """A classifier's file has none; the stages of the backbone are found, and one can be frozen."""
    published = save(tmp_path, "convnext", **CONVNEXT)
    detector = built(tmp_path)
    body = network.backbone(detector.module)
    state = body.state_dict()
    added = {name for name in state if name.startswith("hidden_states_norms.")}
    assert len(added) == 6
    assert all(torch.equal(state[name], published[f"convnext.{name}"]) for name in set(state) - added)
    assert all(torch.equal(state[name], torch.full_like(state[name], name.endswith("weight"))) for name in added)
    assert len(detector.backbone_stages()) == 5
    trainable.apply(detector, trainable_layers=1, batch_norm=None)
    trains = {name.rpartition("stages.")[2][0] for name, p in body.named_parameters() if p.requires_grad}
    assert trains == {"3", "h"}  # the last stage, and the norms behind all


def test_the_hubs_cache_serves_as_a_folder_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not in it is named with what brings it; random weights need the configuration alone."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HarnessError, match=r"a/b/config\.json is not in the cache .*: run `harness fetch SUITE`"):
        built("a/b", "none")
    snapshot = tmp_path / "models--a--b" / "snapshots" / "main"
    published = save(snapshot)
    body = network.backbone(built("a/b").module)
    assert torch.equal(next(body.parameters()), published["resnet.embedder.embedder.convolution.weight"])
    assert fetch.main([f"{NAME}=backbone=a/b", f"{NAME}=none=a/b", f"{NAME}=none"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f": {snapshot / 'model.safetensors'}")
    assert second.endswith(f": {snapshot / 'config.json'}")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(HarnessError, match=r"a/b/model\.safetensors is not in the cache"):
        built("a/b")
    random = network.backbone(built("a/b", "none").module)
    assert "BatchNorm2d" in {type(part).__name__ for part in random.modules()}
    with torch.device("meta"):
        whole, _ = family.build(
            BUILT_IN[NAME], weights="none", classes=80, image_size=ImageSize(min=640, max=640), options={}
        )
    assert sum(parameter.numel() for parameter in whole.module.parameters()) == BUILT_IN[NAME].parameters
    assert whole.structure()["pixel_mean"] == [0.485, 0.456, 0.406]


def test_a_file_that_does_not_fit_is_told(tmp_path: Path) -> None:
    """Tensors that it lacks, that it has besides, and of other shapes; no file at all."""
    save(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    convolution = "resnet.embedder.embedder.convolution.weight"
    changed: dict[str, dict[str, torch.Tensor]] = {
        r"lacks 1 tensors \(embedder\.embedder\.convolution": {k: v for k, v in state.items() if k != convolution},
        r"has besides 1 tensors \(.*encoder\.stages\.7\.x": {**state, "resnet.encoder.stages.7.x": torch.zeros(1)},
        r"has other shapes in 1 tensors": {**state, convolution: torch.zeros(4, 3, 7, 7)},
    }
    for message, tensors in changed.items():
        save_file(tensors, file, metadata={"format": "pt"})
        with pytest.raises(HarnessError, match=f"does not fit the backbone in its config.json: it {message}"):
            built(tmp_path)
    file.write_bytes(b"torn")
    with pytest.raises(HarnessError, match="cannot be loaded"):
        built(tmp_path)
    file.unlink()
    with pytest.raises(HarnessError, match=r"has no model\.safetensors: expected what save_pretrained writes"):
        built(tmp_path)


_VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.mark.parametrize(
    ("model_type", "values", "message"),
    [
        ("dinov2", _VIT, "takes feature maps at strides 8, 16, 32, and of an image of 64 × 128 its own are 4 × 9"),
        ("vit", _VIT, "is a vit, of which transformers' AutoBackbone makes no backbone; choose another one"),
        ("resnet", {"num_channels": 1}, "gives no feature maps for images of any size"),
    ],
)
def test_a_backbone_that_does_not_serve_is_refused(
    tmp_path: Path, model_type: str, values: dict[str, Any], message: str
) -> None:
    """In one sentence, with what to do."""
    save(tmp_path, model_type, **values)
    with pytest.raises(HarnessError, match=message) as refused:
        built(tmp_path)
    assert "\n" not in str(refused.value)
