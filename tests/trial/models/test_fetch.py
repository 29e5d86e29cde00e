"""Fetching names each file that is there, and what cannot be had is one line and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.suite.catalog.published import location
from harness.suite.catalog.registry import BUILT_IN
from harness.trial.models import fetch

if TYPE_CHECKING:
    import pytest

NAME = "fasterrcnn_mobilenet_v3_large_fpn"
TOY = Path(__file__).parents[2] / "examples" / "toy_architecture.py"


def test_what_is_cached_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the cache is named as it is; one that has no published weights does not hold up the others."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = location(BUILT_IN[NAME].published_files["backbone"])
    file.parent.mkdir(parents=True)
    file.touch()
    assert fetch.main([f"{TOY}:TOY=default", "nothing=default", f"{NAME}=backbone"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"{NAME}=backbone: {file}"]
    first, second = printed.err.splitlines()
    assert first.endswith("toy_architecture.py:TOY: there are no published weights default")
    assert second.startswith("nothing=default: ")


def test_a_backbone_is_named_behind_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lies in a package is named; what the hub has is looked for under the tag that its library knows."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--timm--resnet18.a1_in1k" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    arguments = ["fcos_timm=backbone", "fcos_timm=backbone=resnet18", "fcos_timm=default", "fcos_timm=backbone=resnt18"]
    assert fetch.main(arguments) == 1
    printed = capsys.readouterr()
    first, second = printed.out.splitlines()
    assert first == f"fcos_timm=backbone: {location(BUILT_IN['fcos_timm'].published_files['backbone'])}"
    assert second == f"fcos_timm=backbone=resnet18: {snapshot / 'model.safetensors'}"
    third, fourth = printed.err.splitlines()
    assert third == "fcos_timm=default: fcos_timm: there are no published weights default; it takes backbone"
    assert "has no model of this name; near: resnet18" in fourth
