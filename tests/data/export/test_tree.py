"""A folder is written whole or not at all, and no name is used twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.export.tree import Tree, distinct_stems, write_tree


def test_stems_are_distinct_in_any_letter_case() -> None:
    """The first keeps its name; none takes the name of another."""
    assert distinct_stems(["a.jpg", "b.jpg", "x/a.jpg"]) == ["a", "b", "x/a"]
    assert distinct_stems(["a.jpg", "a.png", "A.png"]) == ["a", "a_png", "A_png2"]
    assert distinct_stems(["a.jpg", "a.png", "a_png.jpg"]) == ["a", "a_png2", "a_png"]
    assert distinct_stems(["a", "a.jpg"]) == ["a", "a_jpg"]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """An image that vanishes while it is copied leaves nothing behind."""
    tree = Tree(files={"labels/a.txt": b"0"}, images={"images/a.jpg": str(tmp_path / "gone.jpg")}, notes=())
    with pytest.raises(FileNotFoundError):
        write_tree(tree, tmp_path / "out", copy_images=True)
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()  # an empty folder may be there
    write_tree(tree, tmp_path / "out", copy_images=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "labels" / "a.txt").read_bytes() == b"0"
    with pytest.raises(OSError, match="not empty"):
        write_tree(tree, tmp_path / "out", copy_images=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
