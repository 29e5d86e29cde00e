"""RT-DETRv2 starts from the ImageNet weights of a backbone of timm, which keeps its own norms and activations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from harness.errors import WeightsError
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.catalog.timm import LITE0
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.models import checkpoint
from harness.trial.models.registry import family_of
from harness.trial.models.timm import weights
from harness.trial.models.transformers import network
from harness.trial.models.transformers_timm import family as timm_family
from tests.trial.models.transformers.test_detector import drawn

NAME = "rtdetr_v2_timm"
SIZE = ImageSize(min=64, max=64)


def test_the_backbone_starts_from_weights_inside_a_package(tmp_path: Path) -> None:
    """Nothing of it is random, its norms are timm's own, and the whole trains and comes back from its file."""
    row = BUILT_IN[NAME]
    assert family_of(row) is timm_family
    torch.manual_seed(0)
    detector, head = timm_family.build(row, weights="backbone", classes=2, image_size=SIZE, options={"queries": 20})
    assert head == "new"
    body = network.backbone(detector.module)
    published = weights.pretrained(LITE0, (8, 16, 32)).state_dict()
    assert all(torch.equal(value, published[name]) for name, value in body.state_dict().items())
    kinds = {type(part).__name__ for part in body.modules()}
    assert "BatchNormAct2d" in kinds
    assert not any("Frozen" in kind for kind in kinds)
    assert detector.structure()["pixel_mean"] == [0.5, 0.5, 0.5]
    assert len(detector.backbone_stages()) >= 4
    assert all(torch.isfinite(part) for part in detector.losses(*drawn()).values())
    detector.module.eval()
    choice = TrialArchitecture(
        name=NAME, weights="backbone", weights_sha256=None, image_size=SIZE, model={"queries": 20}
    )
    checkpoint.save(tmp_path / "last.pt", detector, choice, ("a", "b"))
    again, _ = checkpoint.load_detector(tmp_path / "last.pt")
    with torch.inference_mode():
        before, after = detector.detect(drawn()[0]), again.detect(drawn()[0])
    assert all(torch.equal(one["scores"], two["scores"]) for one, two in zip(before, after, strict=True))
    detector.module.save_pretrained(tmp_path / "folder")  # type: ignore[operator]
    for start in ("last.pt", "folder"):
        with pytest.raises(WeightsError, match=f"its backbone is '{LITE0}': name that one, or leave out resnet18"):
            timm_family.build(
                row, weights=str(tmp_path / start), classes=2, image_size=SIZE, options={"backbone": "resnet18"}
            )


def test_the_row_counts_what_it_builds() -> None:
    """For COCO's 80 classes on the backbone that it has by itself; another one is named by the suite."""
    row = BUILT_IN[NAME]
    with torch.device("meta"):
        detector, _ = timm_family.build(
            row, weights="none", classes=80, image_size=ImageSize(min=640, max=640), options={}
        )
        assert sum(parameter.numel() for parameter in detector.module.parameters()) == row.parameters
    other, _ = timm_family.build(
        row, weights="none", classes=2, image_size=SIZE, options={"queries": 20, "backbone": "resnet10t"}
    )
    assert sum(p.numel() for p in network.backbone(other.module).parameters()) < sum(
        p.numel() for p in timm.create_model("resnet10t").parameters()
    )
    assert replace(row, name="other").published_file("backbone", "resnet10t") != row.published_file("backbone")
