"""LabelMe JSON beside each image, rectangles drawn from the top right corner."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split


def label_file(root: Path, split: str, image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / f"{Path(image).stem}.json"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    for shot in shots:
        shapes: list[dict[str, object]] = [
            {"label": label, "points": [[x2, y1], [x1, y2]], "shape_type": "rectangle", "group_id": None, "flags": {}}
            for label, x1, y1, x2, y2 in shot.boxes
        ]
        content = {
            "version": "5.4.1",
            "imagePath": shot.name,
            "imageData": None,
            "imageWidth": shot.size[0],
            "imageHeight": shot.size[1],
            "shapes": shapes,
        }
        label_file(root, split, shot.name).write_text(json.dumps(content, indent=2))
