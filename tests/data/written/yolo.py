"""YOLO's layout: images/SPLIT, labels/SPLIT, data.yaml."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import CLASSES, SIZE, Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / "images" / split


def label_file(root: Path, split: str, image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / "labels" / split / f"{Path(image).stem}.txt"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    for shot in shots:
        lines = [
            f"{CLASSES.index(label) if label in CLASSES else 99} {(x1 + x2) / 2 / SIZE:.7f} {(y1 + y2) / 2 / SIZE:.7f} "
            f"{(x2 - x1) / SIZE:.7f} {(y2 - y1) / SIZE:.7f}\n"
            for label, x1, y1, x2, y2 in shot.boxes
        ]
        label_file(root, split, shot.name).write_text("".join(lines))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnc: 3\nnames: {json.dumps(CLASSES)}\n")
