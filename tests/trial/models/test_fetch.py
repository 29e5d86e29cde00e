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
    assert "has no function fetch" in first
    assert second.startswith("nothing=default: ")
