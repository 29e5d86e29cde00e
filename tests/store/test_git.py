"""A results folder at a commit."""

from __future__ import annotations

from pathlib import Path

from harness.store import git


def test_an_at_in_a_name_is_no_commit(tmp_path: Path) -> None:
    """A folder that is there is itself; git's own @ in HEAD@{1} stays with the commit."""
    (tmp_path / "a@b").mkdir()
    assert git.parted(str(tmp_path / "a@b")) == (tmp_path / "a@b", None)
    assert git.parted("results/x@HEAD@{1}") == (Path("results/x"), "HEAD@{1}")
    assert git.parted("a@b/x@main") == (Path("a@b/x"), "main")
    assert git.parted("results/x") == (Path("results/x"), None)
