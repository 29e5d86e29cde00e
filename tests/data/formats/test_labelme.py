"""LabelMe's shapes become boxes as its own exporters make them, and a shape that is no box is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset

_Corners = tuple[float, ...]


def _shape(label: object, kind: str | None, *points: tuple[float | None, float | None], **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def _load(folder: Path, *shapes: dict[str, Any], classes: tuple[str, ...] | None = None) -> LoadedDataset:
    Image.new("RGB", (100, 80)).save(folder / "a.png")
    content = {"version": "5.5.0", "imagePath": "a.png", "imageData": None, "imageHeight": 80, "imageWidth": 100}
    (folder / "a.json").write_text(json.dumps({**content, "shapes": shapes}))
    return load(FilesDataset(format="auto", path=folder, classes=classes), depth="headers")


def _boxes(loaded: LoadedDataset) -> list[tuple[str, _Corners]]:
    found = loaded.splits["all"].annotations
    return [
        (found.class_names[label], tuple(box)) for label, box in zip(found.labels, found.boxes.tolist(), strict=True)
    ]


def _told(loaded: LoadedDataset, code: str) -> list[str]:
    found = {problem.code: problem for problem in loaded.findings.problems()}
    assert code in found, found
    return [f"{place.annotation}: {place.detail}" for place in found[code].places]


@pytest.mark.parametrize(
    ("kind", "points", "box"),
    [
        ("rectangle", [(40, 60), (10, 20)], (10, 20, 40, 60)),
        ("rectangle", [(10, 20), (40, 20), (40, 60), (10, 60)], (10, 20, 40, 60)),  # X-AnyLabeling writes four corners
        ("polygon", [(10, 20), (40, 30), (15, 60)], (10, 20, 40, 60)),
        (None, [(10, 20), (40, 30), (15, 60)], (10, 20, 40, 60)),
        ("circle", [(50, 40), (53, 44)], (45, 35, 55, 45)),
        ("mask", [(10, 20), (40, 60)], (10, 20, 40, 60)),
        ("oriented_rectangle", [(60, 40), (80, 20), (100, 40), (80, 60)], (60, 20, 100, 60)),
        ("rotation", [(60, 40), (80, 20), (100, 40), (80, 60)], (60, 20, 100, 60)),
        ("quadrilateral", [(61, 41), (83, 20), (97, 44), (80, 59)], (61, 20, 97, 59)),
        ("cuboid", [(20, 20), (40, 20), (40, 40), (20, 40), (30, 10), (50, 10), (50, 30), (30, 30)], (20, 10, 50, 40)),
    ],
)
def test_shapes_with_an_area_are_their_bounds(
    kind: str | None, points: list[tuple[float, float]], box: _Corners, tmp_path: Path
) -> None:
    """Each kind that LabelMe and X-AnyLabeling draw."""
    loaded = _load(tmp_path, _shape("bolt", kind, *points))
    assert _boxes(loaded) == [("bolt", box)]
    assert not loaded.findings.problems()


@pytest.mark.parametrize(
    ("kind", "points", "detail"),
    [
        ("rectangle", 1, "rectangle of 1 point"),
        ("polygon", 1, "polygon of 1 point"),
        ("polygon", 0, "polygon of 0 points"),
        ("circle", 1, "circle of 1 point"),
        ("circle", 3, "circle of 3 points"),
        ("oriented_rectangle", 2, "oriented_rectangle of 2 points"),
        ("quadrilateral", 3, "quadrilateral of 3 points"),
        ("point", 1, "point of 1 point"),
        ("points", 5, "points of 5 points"),
        ("line", 2, "line of 2 points"),
        ("linestrip", 4, "linestrip of 4 points"),
        ("blob", 4, "blob of 4 points"),
    ],
)
def test_shapes_without_an_area_are_told(kind: str, points: int, detail: str, tmp_path: Path) -> None:
    """The others of the image are read."""
    bad = _shape("bolt", kind, *((10.0 * number, 5.0 * number) for number in range(points)))
    loaded = _load(tmp_path, bad, _shape("bolt", "rectangle", (10, 20), (40, 60)))
    (told,) = _told(loaded, "unreadable_annotation")
    assert told.startswith(f"0: {detail}: it has no area")
    assert _boxes(loaded) == [("bolt", (10, 20, 40, 60))]


def test_shapes_of_one_label_and_group_are_one_object(tmp_path: Path) -> None:
    """Two parts of a bolt behind a bar; another label, another group and no group are objects of their own."""
    loaded = _load(
        tmp_path,
        _shape("bolt", "polygon", (10, 10), (40, 10), (40, 50), group_id=3),
        _shape("nut", "rectangle", (5, 5), (25, 25), group_id=3),
        _shape("bolt", "rectangle", (2, 60), (30, 75), group_id=None),
        _shape("bolt", "circle", (80, 40), (80, 30), group_id=3),
        _shape("bolt", "rectangle", (40, 60), (60, 75), group_id=None),
        _shape("bolt", "rectangle", (50, 5), (60, 15), group_id=0),
        _shape("bolt", "rectangle", (70, 5), (75, 15), group_id=0),
        _shape("nut", "rectangle", (30, 1), (35, 5), group_id=""),
        _shape("nut", "rectangle", (90, 1), (95, 5), group_id=""),
    )
    assert _boxes(loaded) == [
        ("bolt", (10, 10, 90, 50)),
        ("nut", (5, 5, 25, 25)),
        ("bolt", (2, 60, 30, 75)),
        ("bolt", (40, 60, 60, 75)),
        ("bolt", (50, 5, 75, 15)),
        ("nut", (30, 1, 35, 5)),
        ("nut", (90, 1, 95, 5)),
    ]
    assert not loaded.findings.problems()


def test_a_part_that_is_not_a_number_spoils_its_object(tmp_path: Path) -> None:
    """No bounds are made up from the other parts."""
    loaded = _load(
        tmp_path,
        _shape("bolt", "rectangle", (10, 10), (40, 40), group_id=1),
        _shape("bolt", "rectangle", (50, None), (60, 60), group_id=1),
        _shape("nut", "rectangle", (5, 5), (25, 25)),
    )
    assert len(_told(loaded, "not_a_number")) == 1
    assert _boxes(loaded) == [("nut", (5, 5, 25, 25))]


def test_labels_that_say_that_there_is_no_object(tmp_path: Path) -> None:
    """They are left out and told, whatever their shape; `classes` asks for them."""
    shapes = (
        _shape("bolt", "rectangle", (10, 10), (40, 50)),
        _shape("__ignore__", "rectangle", (60, 60), (90, 75)),
        _shape("_background_", "point", (5, 5)),
    )
    loaded = _load(tmp_path, *shapes)
    assert _boxes(loaded) == [("bolt", (10, 10, 40, 50))]
    assert _told(loaded, "ignored_label") == ["1: __ignore__", "2: _background_"]
    assert not loaded.findings.problems("error")
    asked = _load(tmp_path, *shapes, classes=("__ignore__", "bolt"))
    assert _boxes(asked) == [("bolt", (10, 10, 40, 50)), ("__ignore__", (60, 60, 90, 75))]
    assert _told(asked, "ignored_label") == ["2: _background_"]


def test_labels_may_be_numbers(tmp_path: Path) -> None:
    """Scripts write them; they are names here."""
    loaded = _load(tmp_path, _shape(7, "rectangle", (1, 1), (9, 9)), _shape("7", "rectangle", (20, 1), (29, 9)))
    assert _boxes(loaded) == [("7", (1, 1, 9, 9)), ("7", (20, 1, 29, 9))]


def test_sizes_may_be_text(tmp_path: Path) -> None:
    """A script that wrote them so costs no image; a size that is wrong is still told."""
    _load(tmp_path, _shape("bolt", "rectangle", (1, 1), (9, 9)))
    file = tmp_path / "a.json"
    for width, codes in (('"100"', []), ('"90"', ["size_mismatch"]), ('"wide"', [])):
        file.write_text(re.sub(r'"imageWidth": [^,]*', f'"imageWidth": {width}', file.read_text()))
        loaded = load(FilesDataset(format="auto", path=tmp_path), depth="headers")
        assert [problem.code for problem in loaded.findings.problems()] == codes
        assert _boxes(loaded) == [("bolt", (1, 1, 9, 9))]
