"""VIA's annotations as JSON beside the images of each split, as Mask R-CNN's tutorials have them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / "via_region_data.json"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    content = {
        f"{shot.name}{1000 + number}": {
            "filename": shot.name,
            "size": 1000 + number,
            "regions": [
                {
                    "shape_attributes": {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1},
                    "region_attributes": {"label": label},
                }
                for label, x1, y1, x2, y2 in shot.boxes
            ],
            "file_attributes": {},
        }
        for number, shot in enumerate(shots)
    }
    label_file(root, split, "").write_text(json.dumps(content))
