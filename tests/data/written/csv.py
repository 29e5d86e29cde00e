"""A CSV without a header beside the images of each split."""

from __future__ import annotations

from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / "labels.csv"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    lines = [
        line
        for shot in shots
        for line in (
            [f"{shot.name},{x1},{y1},{x2},{y2},{label}\n" for label, x1, y1, x2, y2 in shot.boxes]
            or [f"{shot.name},,,,,\n"]
        )
    ]
    label_file(root, split, "").write_text("".join(lines))
