"""CreateML JSON beside the images of each split, as Roboflow exports it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / "_annotations.createml.json"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    content = [
        {
            "image": shot.name,
            "annotations": [
                {
                    "label": label,
                    "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
                }
                for label, x1, y1, x2, y2 in shot.boxes
            ],
        }
        for shot in shots
    ]
    label_file(root, split, "").write_text(json.dumps(content))
