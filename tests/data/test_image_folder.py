"""An image that is not where its labels say is told with the file that is like it."""

from __future__ import annotations

from pathlib import Path

from harness.data.image_folder import ImageFolder


def test_a_missing_image_is_told_with_what_is_there(tmp_path: Path) -> None:
    """The same name with another suffix, and a name with backslashes, as archives of Windows leave it here."""
    (tmp_path / "cam").mkdir()
    for name in ("cam/b.png", "images\\c.jpg", "d.txt"):
        (tmp_path / name).write_bytes(b"")
    images = ImageFolder(tmp_path)
    assert images.find("cam/b.jpg").detail == f"no such image: {tmp_path}/cam/b.jpg; there is b.png"
    detail = images.find("images/c.jpg").detail
    assert detail.endswith("; there is a file images\\c.jpg: unpack the archive again, into folders")
    assert images.find("d.jpg").detail == f"no such image: {tmp_path}/d.jpg"
