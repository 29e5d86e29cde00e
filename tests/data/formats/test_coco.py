"""COCO files become columns, and every contradiction is told with its ids, all of them together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset


def _good() -> dict[str, Any]:
    return {
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 100, "height": 50},
            {"id": 2, "file_name": "a.jpg", "width": 40, "height": 60},
        ],
        "categories": [{"id": 70, "name": "nut"}, {"id": 5, "name": "bolt"}],
        "annotations": [
            {"id": 30, "image_id": 2, "category_id": 70, "bbox": [1, 2, 10, 20], "area": 150, "iscrowd": 1},
            {"id": 31, "image_id": 9, "category_id": 5, "bbox": [90.5, 40, 20, 20], "segmentation": [[1, 2]]},
        ],
    }


def _load(tmp_path: Path, content: object) -> LoadedDataset:
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return load(FilesDataset(format="coco", path=path), depth="labels")


def test_ids_with_gaps_become_columns(tmp_path: Path) -> None:
    """Classes are numbered by category id, images sorted by name, boxes clipped; area and crowd are kept."""
    loaded = _load(tmp_path, _good())
    annotations = loaded.splits["all"].annotations
    assert annotations.class_names == ("bolt", "nut")
    assert annotations.file_names == ("a.jpg", "b.jpg")
    assert annotations.labels.tolist() == [1, 0]
    assert annotations.boxes.dtype == np.float32
    assert annotations.boxes.tolist() == [[1, 2, 11, 22], [90.5, 40, 100, 50]]
    assert annotations.crowds.tolist() == [True, False]
    assert annotations.areas.tolist() == [150.0, 95.0]
    assert annotations.rows(1) == slice(1, 2)
    assert [problem.code for problem in loaded.findings.problems()] == ["box_crosses_border"]


@pytest.mark.parametrize(
    ("path", "value", "code", "place"),
    [
        (("annotations", 1, "category_id"), 6, "unknown_class", "image 9, annotation 31: b.jpg: category_id 6"),
        (("annotations", 0, "image_id"), 3, "unknown_image_id", "image 3, annotation 30: image_id 3"),
        (("annotations", 0, "id"), 31, "duplicate_annotation_id", "image 9, annotation 31"),
        (("annotations", 0, "bbox"), [1, 2, 0, 5], "degenerate_box", "image 2, annotation 30: a.jpg: [1, 2, 1, 7]"),
        (("annotations", 0, "bbox"), [9, 2, -4, 5], "degenerate_box", "image 2, annotation 30: a.jpg: [9, 2, 5, 7]"),
        (("annotations", 0, "bbox"), [50, 2, 5, 5], "box_outside_image", "[50, 2, 55, 7] in 40 × 60"),
        (("annotations", 0, "bbox"), [39.9999999, 2, 5, 5], "box_outside_image", "image 2, annotation 30"),
        (("annotations", 0, "bbox"), [1, 2, 3], "unreadable_annotation", "annotation 30: annotations[0]: Expected"),
        (
            ("annotations", 0, "bbox"),
            [1, 2, 3, "x"],
            "unreadable_annotation",
            "annotation 30: annotations[0]: Expected",
        ),
        (("annotations", 0, "bbox"), [1, 2, 3, None], "not_a_number", "image 2, annotation 30"),
        (("annotations", 0, "bbox"), [1, 2, float("nan"), 3], "not_a_number", "image 2, annotation 30"),
        (("annotations", 0, "bbox"), [1, -float("inf"), 2, 3], "not_a_number", "image 2, annotation 30"),
        (("annotations", 0, "bbox"), [1, 1e308, 1e308, 1e308], "not_a_number", "image 2, annotation 30"),
        (("annotations", 0), {"id": 30}, "unreadable_annotation", "annotation 30"),
        (("annotations", 0), 7, "unreadable_annotation", "annotation 0: annotations[0]"),
        (("images", 1, "id"), 9, "duplicate_image_id", "image 9: a.jpg: its id is used before"),
        (("images", 1, "file_name"), "b.jpg", "duplicate_image_id", "image 2: b.jpg: described before"),
        (("images", 0, "width"), "x", "unreadable_annotation", "image 9: images[0]: Expected"),
        (("images", 0, "width"), 99999999999, "unreadable_annotation", "image 9: images[0]"),
        (("images", 0, "id"), 2**70, "unreadable_annotation", "images[0]: Expected"),
        (("categories", 0, "id"), 5, "unreadable_annotation", "category 5 ('bolt'): each id once"),
        (("images",), [], "empty_split", "a.json"),
        (("categories",), [], "empty_split", "a.json: all: not one box: nothing to learn from"),
        (("images",), 3, "unreadable_annotation", "a.json: Expected `array`, got `int`"),
    ],
)
def test_contradictions_are_told_with_their_ids(
    path: tuple[str | int, ...], value: object, code: str, place: str, tmp_path: Path
) -> None:
    """Each fault has its code and its place, also where the entry does not even have the right type."""
    content = _good()
    at: Any = content
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    found = {problem.code: problem for problem in _load(tmp_path, content).findings.problems("error")}
    assert code in found, found
    assert place in str(found[code].places[0])
    assert found[code].count == 1


def test_sizes_and_ids_may_be_left_out(tmp_path: Path) -> None:
    """Without annotation ids the place in the list counts; without sizes nothing is clipped until images are seen."""
    content = _good()
    for entry in content["annotations"]:
        del entry["id"]
    for entry in content["images"]:
        del entry["width"], entry["height"]
    content["annotations"][1]["bbox"] = [1, 1, 0, 0]
    loaded = _load(tmp_path, content)
    (problem,) = loaded.findings.problems()
    assert problem.places[0].annotation == 1
    assert loaded.splits["all"].annotations.sizes.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "\x00", '{"images": [], "categories": 3}', "[" * 100_000, '{"images": []}'.encode("utf-16")],
)
def test_what_is_no_coco_is_said(text: str | bytes, tmp_path: Path) -> None:
    """Torn, foreign and absurdly deep files are one problem, and the split is empty."""
    path = tmp_path / "a.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    loaded = load(FilesDataset(format="coco", path=path), depth="labels")
    assert [problem.code for problem in loaded.findings.problems()] == ["unreadable_annotation", "empty_split"]


def test_many_problems_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    """A file wrong in a thousand places is told in a few lines and a count."""
    content = _good()
    content["annotations"] = [{"image_id": 2, "category_id": 1, "bbox": [1, 1, 2, 2]}] * 1000
    (problem,) = _load(tmp_path, content).findings.problems()
    assert problem.count == 1000
    assert len(str(problem).splitlines()) == 8
    assert "… and 995 more" in str(problem)
