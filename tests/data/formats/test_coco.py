"""COCO files become columns, and every contradiction is told with its ids, all of them together."""

from __future__ import annotations

import json
from collections.abc import Callable
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
        (("images", 0, "id"), 2**70, "unknown_image_id", "image 9, annotation 31: image_id 9"),
        (("images", 0, "id"), True, "unreadable_annotation", "images[0]: Expected"),
        (("images", 0, "file_name"), None, "unreadable_annotation", "image 9: images[0]: no file_name"),
        (("annotations", 0, "category_id"), "bolt", "unknown_class", "image 2, annotation 30: a.jpg: category_id bolt"),
        (("annotations", 0, "image_id"), "a", "unknown_image_id", "image a, annotation 30: image_id a"),
        (("annotations", 0, "id"), "31", "duplicate_annotation_id", "image 9, annotation 31: id 31 is used before"),
        (("annotations", 0, "bbox"), [], "unreadable_annotation", "annotations[0]: no bbox, and no polygon"),
        (("annotations", 0, "bbox"), None, "unreadable_annotation", "annotation 30: annotations[0]: no bbox, and no"),
        (("annotations", 0, "iscrowd"), "maybe", "unreadable_annotation", "iscrowd: expected 0 or 1, got 'maybe'"),
        (("images", 1, "id"), "9", "duplicate_image_id", "image 9: a.jpg: its id is used before"),
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


def _plain(loaded: LoadedDataset) -> list[tuple[str, str, list[float], bool, float]]:
    """Each box with its image, class, crowd flag and area."""
    (columns,) = (split.annotations for split in loaded.splits.values())
    return [
        (
            name,
            columns.class_names[columns.labels[row]],
            columns.boxes[row].tolist(),
            bool(columns.crowds[row]),
            float(columns.areas[row]),
        )
        for image, name in enumerate(columns.file_names)
        for row in range(*columns.offsets[image : image + 2].tolist())
    ]


def _with_ids(content: dict[str, Any], change: Callable[[int], object]) -> dict[str, Any]:
    """The same content with other ids everywhere."""
    for key in ("images", "categories", "annotations"):
        for entry in content[key]:
            entry.update({name: change(entry[name]) for name in ("id", "image_id", "category_id") if name in entry})
    return content


_UUID = "3f2a0c1e-0000-4000-8000-{:012d}"


@pytest.mark.parametrize(
    "change",
    [str, float, lambda number: f" {number}.0 ", lambda number: 2**63 + number, _UUID.format, "stem_{:03d}".format],
    ids=["text", "float", "text of a float", "a hash of 64 bits", "uuid", "file stem"],
)
def test_ids_of_any_kind_join_the_same_boxes(change: Callable[[int], object], tmp_path: Path) -> None:
    """Text, floats and ids that are no numbers: nothing is lost, and nothing is told."""
    good = _load(tmp_path, _good())
    loaded = _load(tmp_path, _with_ids(_good(), change))
    assert sorted(_plain(loaded)) == sorted(_plain(good))
    assert [problem.code for problem in loaded.findings.problems()] == ["box_crosses_border"]
    place = loaded.findings.problems()[0].places[0]
    assert (str(place.image), str(place.annotation)) == tuple(
        str(number if change in {str, float} or "." in str(change(9)) else change(number)) for number in (9, 31)
    )


def test_text_and_numbers_are_one_id(tmp_path: Path) -> None:
    """As where one tool wrote the images and another their boxes; the fingerprint is that of the clean file."""
    content = _good()
    content["annotations"][0].update(image_id="2", category_id=70.0)
    content["annotations"][1].update(id="31", image_id=9.0, category_id=" 5 ")
    loaded = _load(tmp_path, content)
    assert loaded.fingerprint() == _load(tmp_path, _good()).fingerprint()


@pytest.mark.parametrize(
    ("fields", "crowd", "area"),
    [
        ({"iscrowd": "0"}, False, 150.0),
        ({"iscrowd": "1"}, True, 150.0),
        ({"iscrowd": 0.0}, False, 150.0),
        ({"iscrowd": 1.0}, True, 150.0),
        ({"iscrowd": False}, False, 150.0),
        ({"iscrowd": True}, True, 150.0),
        ({"iscrowd": "False"}, False, 150.0),
        ({"iscrowd": "true"}, True, 150.0),
        ({"iscrowd": "0.0"}, False, 150.0),
        ({"iscrowd": None}, False, 150.0),
        ({"iscrowd": ""}, False, 150.0),
        ({"area": "150"}, True, 150.0),
        ({"area": [150]}, True, 150.0),
        ({"area": None}, True, 200.0),
        ({"area": ""}, True, 200.0),
        ({"area": "unknown"}, True, 200.0),
        ({"area": {}}, True, 200.0),
        ({"bbox": ["1", "2.0", "1e1", 20]}, True, 150.0),
    ],
)
def test_a_flag_an_area_or_a_number_as_text_costs_no_box(
    fields: dict[str, object],
    crowd: bool,  # noqa: FBT001 - a parameter
    area: float,
    tmp_path: Path,
) -> None:
    """Each has one meaning only; an area that says nothing is the box's own."""
    content = _good()
    content["annotations"][0].update(fields)
    loaded = _load(tmp_path, content)
    assert _plain(loaded)[0] == ("a.jpg", "nut", [1, 2, 11, 22], crowd, area)
    assert [problem.code for problem in loaded.findings.problems()] == ["box_crosses_border"]


_POLYGON = [1, 2, 11, 5, 4, 22]


@pytest.mark.parametrize("empty", [None, [], "absent"])
@pytest.mark.parametrize(
    "segmentation",
    [
        [_POLYGON],
        _POLYGON,
        [list(map(str, _POLYGON))],
        [[[1, 2], [11, 5], [4, 22]]],
        [[1, 2, 5, 2, 5, 6], [8, 9, 11, 9, 11, 22]],
    ],
)
def test_a_polygon_stands_for_a_box_that_is_not_there(
    empty: object, segmentation: list[object], tmp_path: Path
) -> None:
    """One or several, nested or flat: their bounds."""
    content = _good()
    annotation = content["annotations"][0]
    annotation.update(bbox=empty, segmentation=segmentation)
    if empty == "absent":
        del annotation["bbox"]
    assert _plain(_load(tmp_path, content))[0] == ("a.jpg", "nut", [1, 2, 11, 22], True, 150.0)


@pytest.mark.parametrize(
    ("segmentation", "code", "said"),
    [
        ({"size": [60, 40], "counts": "abc"}, "unreadable_annotation", "its segmentation is a run-length mask"),
        ([[1, 2, 3, 4]], "unreadable_annotation", "no bbox, and no polygon in its segmentation"),
        ([[1, 2, 3, 4, 5, 6, 7]], "unreadable_annotation", "no bbox, and no polygon in its segmentation"),
        ([[]], "unreadable_annotation", "no bbox, and no polygon in its segmentation"),
        (None, "unreadable_annotation", "no bbox, and no polygon in its segmentation"),
        ([[1, 2, 3, 4, 5, None]], "not_a_number", "image 2, annotation 30"),
        ([[1, 2, 3, 4, 5, "x"]], "not_a_number", "image 2, annotation 30"),
        ([[1, 2, 1, 4, 1, 9]], "degenerate_box", "[1, 2, 1, 9]"),
    ],
)
def test_what_stands_for_no_box_is_told(segmentation: object, code: str, said: str, tmp_path: Path) -> None:
    """Masks, lines and holes in the numbers: each at its annotation; the others are read."""
    content = _good()
    content["annotations"][0].update(bbox=[], segmentation=segmentation)
    loaded = _load(tmp_path, content)
    (problem,) = loaded.findings.problems("error")
    assert (problem.code, problem.count) == (code, 1)
    assert said in str(problem.places[0])
    assert len(_plain(loaded)) == 1


def test_classes_without_names_are_called_by_their_ids(tmp_path: Path) -> None:
    """A file without categories is read, with a warning; an empty list of them is an error, as no id is in it."""
    for content in ({**_good(), "categories": None}, _good()):
        if content["categories"]:
            del content["categories"]
        loaded = _load(tmp_path, content)
        assert [box[:2] for box in _plain(loaded)] == [("a.jpg", "70"), ("b.jpg", "5")]
        problem = loaded.findings.problems("warning")[-1]
        assert problem.code == "unnamed_classes"
        assert "no categories; the ids are 5, 70" in str(problem)


def test_a_file_without_annotations_has_images_without_boxes(tmp_path: Path) -> None:
    """The list may be null or absent."""
    for content in ({**_good(), "annotations": None}, _good()):
        if content["annotations"]:
            del content["annotations"]
        loaded = _load(tmp_path, content)
        assert loaded.splits["all"].annotations.file_names == ("a.jpg", "b.jpg")
        assert len(loaded.splits["all"].annotations.boxes) == 0
        assert not loaded.findings.problems()


def test_an_image_may_be_named_by_its_address_alone(tmp_path: Path) -> None:
    """The end of `coco_url` where there is no `file_name`; numbers of a size may be text."""
    content = _good()
    del content["images"][1]["file_name"]
    content["images"][1].update(coco_url="https://example.org/train/a.jpg", width="40", height="60.0")
    loaded = _load(tmp_path, content)
    assert loaded.fingerprint() == _load(tmp_path, _good()).fingerprint()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "\x00", '{"images": [], "categories": 3}', "[" * 100_000, '{"images": [}'.encode("utf-16")],
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
