"""Where published weights are kept is known without torch, and each file is named once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.suite.catalog.published import cache_folder, published_files
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
