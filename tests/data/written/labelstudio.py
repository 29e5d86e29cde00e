"""Label Studio's JSON of each split beside its images; train as tasks, val as JSON-MIN."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.shots import Shot


def image_folder(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / split


def label_file(root: Path, split: str, _image: str) -> Path:
    """Where the labels of an image of a split are."""
    return root / f"{split}.json"


def write(root: Path, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    label_file(root, split, "").write_text(
        json.dumps([(_task if split == "train" else _annotation)(number, shot) for number, shot in enumerate(shots)])
    )


def _values(shot: Shot) -> list[dict[str, object]]:
    width, height = shot.size
    return [
        {
            "x": x1 / width * 100,
            "y": y1 / height * 100,
            "width": (x2 - x1) / width * 100,
            "height": (y2 - y1) / height * 100,
            "rotation": 0,
            "rectanglelabels": [label],
        }
        for label, x1, y1, x2, y2 in shot.boxes
    ]


def _size(shot: Shot) -> dict[str, object]:
    return {"original_width": shot.size[0], "original_height": shot.size[1]}


def _task(number: int, shot: Shot) -> dict[str, object]:
    results = [
        {
            **_size(shot),
            "image_rotation": 0,
            "value": value,
            "id": f"{number}-{index}",
            "from_name": "label",
            "to_name": "image",
            "type": "rectanglelabels",
            "origin": "manual",
        }
        for index, value in enumerate(_values(shot))
    ]
    return {
        "id": number,
        "annotations": [{"id": number, "completed_by": 1, "result": results, "was_cancelled": False}],
        "file_upload": f"0fe17a2b-{shot.name}",
        "predictions": [],
        "data": {"image": f"/data/upload/1/0fe17a2b-{shot.name}"},
    }


def _annotation(number: int, shot: Shot) -> dict[str, object]:
    regions = [{**value, **_size(shot)} for value in _values(shot)]
    entry = {"image": f"/data/local-files/?d=photos/{shot.name}", "id": number, "annotator": 1, "annotation_id": number}
    return {**entry, **({"label": regions} if regions else {}), "lead_time": 3.5}
