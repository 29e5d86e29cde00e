"""Files of Hugging Face's hub are found where the hub keeps them, and one that is absent is a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile
from harness.trial.models import hub

FILE = HubFile(repo="owner/name", file="weights.pt")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_cached_file_is_found_and_not_fetched_again(cache: Path) -> None:
    folder = cache / "models--owner--name"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    file = folder / "snapshots" / COMMIT / "weights.pt"
    file.parent.mkdir(parents=True)
    file.touch()
    assert hub.require(FILE, "mine") == file == hub.fetch(FILE, "mine")


def test_an_absent_file_names_the_folder_and_the_alternatives(cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        hub.require(FILE, "mine")
    for words in ("mine", "owner/name/weights.pt", str(cache), "harness fetch SUITE", "weights: none"):
        assert words in str(caught.value)


def test_a_download_that_fails_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "from harness.errors import WeightsError; from harness.trial.models import hub\n"
        "from harness.suite.catalog.architecture import HubFile\n"
        "try: hub.fetch(HubFile(repo='owner/name', file='weights.pt'), 'mine')\n"
        "except WeightsError as error: print('SAID', error)\n"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    run = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    said = run.stdout.partition("SAID ")[2]
    assert "owner/name/weights.pt is not in the cache" in said
    assert "the download failed" in said
    assert len(said.splitlines()) == 1
