"""KITTI labels as NVIDIA TAO has them: folders images and labels in each split, a text file for each image."""

from __future__ import annotations

from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split / "images"


def label_file(root: Path, split: str, image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / "labels" / f"{Path(image).stem}.txt"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    for shot in shots:
        lines = [
            f"{label} 0.00 0 0.00 {x1} {y1} {x2} {y2} 0.00 0.00 0.00 0.00 0.00 0.00 0.00\n"
            for label, x1, y1, x2, y2 in shot.boxes
        ]
        label_file(root, split, shot.name).write_text("".join(lines))
