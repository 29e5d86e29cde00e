"""COCO files become columns, and contradictions are named by their index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.formats.coco import read_coco
from harness.errors import DataError


def _good() -> dict[str, Any]:
    return {
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 100, "height": 50},
            {"id": 2, "file_name": "a.jpg", "width": 40, "height": 60},
        ],
        "categories": [{"id": 70, "name": "nut"}, {"id": 5, "name": "bolt"}],
        "annotations": [
            {"id": 0, "image_id": 2, "category_id": 70, "bbox": [1, 2, 10, 20], "area": 150, "iscrowd": 1},
            {"id": 1, "image_id": 9, "category_id": 5, "bbox": [90.5, 40, 20, 20], "segmentation": [[1, 2]]},
        ],
    }


def _write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_ids_with_gaps_become_columns(tmp_path: Path) -> None:
    """Classes are numbered by category id, boxes are sorted by image, clipped, and keep area and crowd."""
    annotations = read_coco(_write(tmp_path, _good()))
    assert annotations.class_names == ("bolt", "nut")
    assert annotations.file_names == ("b.jpg", "a.jpg")
    assert annotations.labels.tolist() == [0, 1]
    assert annotations.boxes.dtype == np.float32
    assert annotations.boxes.tolist() == [[90.5, 40, 100, 50], [1, 2, 11, 22]]
    assert annotations.crowds.tolist() == [False, True]
    assert annotations.areas.tolist() == [95.0, 150.0]
    assert annotations.rows(1) == slice(1, 2)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("annotations", 1, "category_id"), 6, r"annotations\[1\] \(b.jpg\): category_id 6 is not among .*5, 70"),
        (("annotations", 0, "image_id"), 3, r"annotations\[0\]: image_id 3 is not among the images"),
        (("annotations", 0, "bbox"), [1, 2, 0, 5], r"annotations\[0\] \(a.jpg\): bbox .* has no area"),
        (("annotations", 0, "bbox"), [50, 2, 5, 5], r"outside the image of 40 × 60"),
        (("annotations", 0, "bbox"), [39.9999999, 2, 5, 5], r"outside the image of 40 × 60"),
        (("annotations", 0, "bbox"), [1, 2, 3], "not COCO JSON"),
        (("annotations", 0, "bbox"), [1, 2, 3, "x"], r"not COCO JSON.*annotations\[\.*.*\]"),
        (("images", 1, "id"), 9, "image id 9 stands there 2 times"),
        (("images", 1, "file_name"), "b.jpg", "image file_name 'b.jpg' stands there 2 times"),
        (("images", 0, "width"), 0, r"images\[0\] \(b.jpg\): width and height must be positive"),
        (("images", 0, "width"), 99999999999, "width and height must be positive"),
        (("images",), [], "no images"),
        (("categories",), [], "no categories"),
    ],
)
def test_contradictions_are_named(path: tuple[str | int, ...], value: object, said: str, tmp_path: Path) -> None:
    """Each fault is a DataError that names the file and the entry."""
    content = _good()
    place: Any = content
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(DataError, match=said):
        read_coco(_write(tmp_path, content))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"images": NaN}', "\x00", '{"images": [], "categories": 3}'])
def test_what_is_no_coco_is_said(text: str, tmp_path: Path) -> None:
    """Torn or foreign files are one clear error."""
    with pytest.raises(DataError, match="not COCO JSON"):
        read_coco(_write(tmp_path, text))


def test_many_problems_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    """A file wrong in a thousand places is told in twenty lines and a count."""
    content = _good()
    content["annotations"] = [{"image_id": 2, "category_id": 1, "bbox": [1, 1, 2, 2]}] * 1000
    with pytest.raises(DataError) as error:
        read_coco(_write(tmp_path, content))
    assert len(str(error.value).splitlines()) == 21
    assert "and 980 more" in str(error.value)
