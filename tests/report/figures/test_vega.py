"""The libraries of the interactive picture are bundled once for a user, and never taken from a damaged file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.report.figures import vega


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """The processes that were started to bundle; the cache is empty."""
    started = []

    def run(command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="export\nlibraries: ä")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return started


def test_they_are_bundled_once(bundled: list[tuple[str, ...]], tmp_path: Path) -> None:
    """The next report reads them from the cache; a file that is cut or changed there is made again."""
    for _ in range(2):
        assert vega._bundle() == "export\nlibraries: ä"
    assert len(bundled) == 1
    (kept,) = (tmp_path / "cache").rglob("*.js")
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-1], whole.replace(b"export", b"import"), b"\xff"):
        kept.write_bytes(damaged)
        assert vega._bundle() == "export\nlibraries: ä"
        assert kept.read_bytes() == whole
    assert len(bundled) == 5


def test_a_cache_that_cannot_be_written_is_done_without(bundled: list[tuple[str, ...]], tmp_path: Path) -> None:
    """As in a container without a home."""
    (tmp_path / "cache").write_text("no folder")
    assert vega._bundle() == "export\nlibraries: ä"
    assert len(bundled) == 1
