"""COCO's layout: images/SPLIT, annotations/SPLIT.json, ids with gaps."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import CLASSES, Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / "images" / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / "annotations" / f"{split}.json"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    numbered = [(image, box) for image, shot in enumerate(shots) for box in shot.boxes]
    content = {
        "info": {"description": "test"},
        "licenses": [],
        "images": [
            {"id": 10 + 3 * row, "file_name": shot.name, "width": shot.size[0], "height": shot.size[1]}
            for row, shot in enumerate(shots)
        ],
        "annotations": [
            {
                "id": 500 + row,
                "image_id": 10 + 3 * image,
                "category_id": 2 + 5 * CLASSES.index(label) if label in CLASSES else 99,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": 0,
                "segmentation": [[x1, y1, x2, y1, x2, y2]],
            }
            for row, (image, (label, x1, y1, x2, y2)) in enumerate(numbered)
        ],
        "categories": [{"id": 2 + 5 * number, "name": label} for number, label in enumerate(CLASSES)],
    }
    label_file(root, split, "").write_text(json.dumps(content))
