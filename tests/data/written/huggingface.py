"""metadata.jsonl beside the images of each split, numbers for classes, and their names in the README."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import CLASSES, Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / split / "metadata.jsonl"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    lines = [
        {
            "file_name": shot.name,
            "width": shot.size[0],
            "height": shot.size[1],
            "objects": {
                "bbox": [[x1, y1, x2 - x1, y2 - y1] for _, x1, y1, x2, y2 in shot.boxes],
                "categories": [CLASSES.index(label) if label in CLASSES else 99 for label, *_ in shot.boxes],
            },
        }
        for shot in shots
    ]
    label_file(root, split, "").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    names = "".join(f"            '{number}': {label}\n" for number, label in enumerate(CLASSES))
    (root / "README.md").write_text(
        "---\nlicense: mit\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: objects\n"
        "    sequence:\n    - name: bbox\n      sequence: float32\n      length: 4\n    - name: categories\n"
        f"      dtype:\n        class_label:\n          names:\n{names}---\n# Shapes\n"
    )
