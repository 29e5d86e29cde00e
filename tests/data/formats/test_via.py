"""Files of VGG Image Annotator as people have them: projects, JSON, CSV, all shapes, and the attribute of the class."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset
from tests.data.write import dataset

Json = dict[str, Any]
Write = Callable[[Path, dict[str, list[Json]]], Path]

_RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}


def _region(shape: Json = _RECT, **attributes: object) -> Json:
    return {"shape_attributes": shape, "region_attributes": attributes}


def _entries(images: dict[str, list[Json]]) -> Json:
    return {
        f"{name}{size}": {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
        for size, (name, regions) in enumerate(images.items(), start=900)
    }


def _via_1(folder: Path, images: dict[str, list[Json]]) -> Path:
    entries = _entries(images)
    for entry in entries.values():
        entry["regions"] = {str(number): region for number, region in enumerate(entry["regions"])}
        entry |= {"fileref": "", "base64_img_data": ""}
    return _saved(folder / "via_region_data.json", entries)


def _via_2(folder: Path, images: dict[str, list[Json]]) -> Path:
    return _saved(folder / "via_export_json.json", _entries(images))


def _project(folder: Path, images: dict[str, list[Json]]) -> Path:
    settings = {"ui": {"image": {"region_label": "label"}}, "core": {"filepath": {}}, "project": {"name": "bolts"}}
    attributes = {"region": {"label": {"type": "text"}, "unused": {"type": "text"}}, "file": {}}
    content = {"_via_settings": settings, "_via_img_metadata": _entries(images), "_via_attributes": attributes}
    return _saved(folder / "via_project_9Dec.json", content)


def _list(folder: Path, images: dict[str, list[Json]]) -> Path:
    return _saved(folder / "annotations.json", list(_entries(images).values()))


def _csv(folder: Path, images: dict[str, list[Json]], header: str = "filename") -> Path:
    file = folder / "via_export_csv.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        columns = "file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
        writer.writerow([header, *columns.split(",")])
        for name, regions in images.items():
            for number, region in enumerate(regions or [_region({})]):
                cells = (json.dumps(region["shape_attributes"]), json.dumps(region["region_attributes"]))
                writer.writerow([name, 900, "{}", len(regions), number, *cells])
    return file


def _csv_of_via_1(folder: Path, images: dict[str, list[Json]]) -> Path:
    return _csv(folder, images, header="#filename")


LAYOUTS = (_via_1, _via_2, _project, _list, _csv, _csv_of_via_1)


def _saved(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content))
    return file


def _pictures(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80), (number, 7, 9)).save(folder / name)


def _load(path: Path, **suite: object) -> LoadedDataset:
    return load(FilesDataset(**{"format": "auto", "path": path, **suite}), depth="headers")  # type: ignore[arg-type]


def _boxes(loaded: LoadedDataset) -> list[tuple[str, str, list[float]]]:
    columns = loaded.splits["all"].annotations
    return [
        (columns.file_names[row], columns.class_names[columns.labels[box]], columns.boxes[box].tolist())
        for row in range(len(columns))
        for box in range(*columns.rows(row).indices(len(columns.boxes)))
    ]


def _found(loaded: LoadedDataset, *, but: Sequence[str] = ()) -> list[tuple[str, str]]:
    found = loaded.findings.problems()
    return [(problem.code, str(place)) for problem in found if problem.code not in but for place in problem.places]


@pytest.mark.parametrize("write", LAYOUTS)
def test_every_layout_gives_the_same(write: Write, tmp_path: Path) -> None:
    """Two objects in one image, one in another, none in a third; the folder and the file are recognised."""
    _pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    other = _region({"name": "rect", "x": 1, "y": 2, "width": 3.5, "height": 40}, label="nut")
    file = write(tmp_path, {"a.jpg": [_region(label="bolt"), other], "b.jpg": [], "c.jpg": [_region(label="bolt")]})
    for path in (tmp_path, file):
        loaded = _load(path)
        assert loaded.format == "via"
        assert not _found(loaded)
        assert loaded.splits["all"].annotations.file_names == ("a.jpg", "b.jpg", "c.jpg")
        assert _boxes(loaded) == [
            ("a.jpg", "bolt", [10, 20, 40, 60]),
            ("a.jpg", "nut", [1, 2, 4.5, 42]),
            ("c.jpg", "bolt", [10, 20, 40, 60]),
        ]


@pytest.mark.parametrize("write", [_via_2, _csv])
@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ({"name": "circle", "cx": 50, "cy": 40, "r": 12.5}, [37.5, 27.5, 62.5, 52.5]),
        ({"name": "ellipse", "cx": 50, "cy": 40, "rx": 20, "ry": 10}, [30, 30, 70, 50]),
        ({"name": "ellipse", "cx": 50, "cy": 40, "rx": 20, "ry": 10, "theta": 1.5707963267948966}, [40, 20, 60, 60]),
        ({"name": "polygon", "all_points_x": [10, 30, 20], "all_points_y": [20, 25, 60]}, [10, 20, 30, 60]),
        ({"name": "polyline", "all_points_x": [10, 30], "all_points_y": [60, 25]}, [10, 25, 30, 60]),
        ({"name": "rect", "x": "10", "y": "20.5", "width": "30", "height": "40"}, [10, 20.5, 40, 60.5]),
    ],
)
def test_shapes_are_read_as_their_bounds(shape: Json, box: list[float], write: Write, tmp_path: Path) -> None:
    """Every shape with an area, an ellipse turned by its angle in radians too."""
    _pictures(tmp_path, "a.jpg")
    write(tmp_path, {"a.jpg": [_region(shape, label="bolt")]})
    loaded = _load(tmp_path)
    ((name, label, corners),) = _boxes(loaded)
    assert (name, label) == ("a.jpg", "bolt")
    assert corners == pytest.approx(box)
    assert not _found(loaded)


def test_shapes_that_are_no_box_are_told_at_their_place(tmp_path: Path) -> None:
    """A point has no area and is left out; an unknown shape and missing or wrong values are errors."""
    _pictures(tmp_path, "a.jpg")
    shapes: list[Json] = [
        {"name": "point", "cx": 4, "cy": 5},
        {"name": "rect", "x": 10, "y": 20, "width": 30},
        {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]},
        {"name": "polygon", "all_points_x": [], "all_points_y": []},
        {"name": "star", "x": 1},
        {},
        {"name": "rect", "x": 10, "y": None, "width": 30, "height": 40},
        _RECT,
    ]
    file = _via_2(tmp_path, {"a.jpg": [_region(shape, label="bolt") for shape in shapes]})
    loaded = _load(tmp_path)
    assert _boxes(loaded) == [("a.jpg", "bolt", [10, 20, 40, 60])]
    where = f"{file}: image a.jpg, annotation"
    lists = "a polygon whose all_points_x and all_points_y are not lists of one length"
    known = "is no shape that is read (rect, circle, ellipse, polygon, polyline)"
    assert _found(loaded) == [
        ("unreadable_annotation", f"{where} 1: a rect without height"),
        ("unreadable_annotation", f"{where} 2: {lists}"),
        ("unreadable_annotation", f"{where} 3: {lists}"),
        ("unreadable_annotation", f"{where} 4: star {known}"),
        ("unreadable_annotation", f"{where} 5: None {known}"),
        ("not_a_number", f"{where} 6: [10, nan, 40, nan]"),
        ("left_out", f"{where} 0: a point has no area"),
    ]


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({"damage": "crack"}, "crack"),
        ({"class": "bolt", "colour": "red"}, "bolt"),
        ({"Label": "bolt", "object": "other"}, "bolt"),
        ({"name": "bolt", "colour": "red", "quality": {"good": True}}, "bolt"),
        ({"kind": {"bolt": True}}, "bolt"),
        ({"kind": {"bolt": True, "nut": False}}, "bolt"),
        ({"label": 7}, "7"),
        ({"label": " bolt ", "note": ""}, "bolt"),
    ],
)
@pytest.mark.parametrize("write", [_via_2, _csv])
def test_which_attribute_is_the_class(attributes: Json, label: str, write: Write, tmp_path: Path) -> None:
    """The only one that is used; or the one that is named like a class; of a checkbox, the option that is ticked."""
    _pictures(tmp_path, "a.jpg")
    write(tmp_path, {"a.jpg": [_region(**attributes)]})
    loaded = _load(tmp_path)
    assert [name for _, name, _ in _boxes(loaded)] == [label]
    assert not _found(loaded)


@pytest.mark.parametrize("attributes", [{"part": "bolt", "colour": "red"}, {"name": "bolt", "type": "M8"}])
def test_the_suite_names_the_class_where_it_is_open(attributes: Json, tmp_path: Path) -> None:
    """Several attributes that could be it are one error for the file, with what to write; so is a wrong name."""
    _pictures(tmp_path, "a.jpg", "b.jpg")
    file = _via_2(tmp_path, {"a.jpg": [_region(**attributes)], "b.jpg": [_region(**attributes)]})
    first, second = attributes
    ((code, place),) = _found(_load(tmp_path), but=["empty_split"])
    assert code == "unreadable_annotation"
    assert place == (
        f"{file}: the regions have the attributes {first}, {second}; say in the suite which of them is the class: "
        f"columns: {{class: {first}}}"
    )
    for name in (first, second):
        loaded = _load(tmp_path, format="via", columns={"class": name})
        assert {label for _, label, _ in _boxes(loaded)} == {attributes[name]}
        assert not _found(loaded)
    ((_, place),) = _found(_load(tmp_path, columns={"class": "size"}), but=["empty_split"])
    assert f"no region has the attribute size (columns: {{class: size}}), only {first}, {second}" in place


def test_regions_of_one_class_without_a_name(tmp_path: Path) -> None:
    """No region says its class: one error for the file, until the suite names the one class that all are of."""
    _pictures(tmp_path, "a.jpg", "b.jpg")
    _via_2(tmp_path, {"a.jpg": [_region(), _region()], "b.jpg": [_region(label="")]})
    ((code, place),) = _found(_load(tmp_path), but=["empty_split"])
    assert code == "unreadable_annotation"
    assert "no region has an attribute that names its class; if all are of one class, name it in the suite" in place
    loaded = _load(tmp_path, classes=("bolt",))
    assert [label for _, label, _ in _boxes(loaded)] == ["bolt"] * 3
    assert _found(_load(tmp_path, classes=("bolt", "nut")), but=["empty_split"])


def test_single_regions_without_a_class_or_with_several(tmp_path: Path) -> None:
    """Where other regions have one: an error at each; nothing is guessed."""
    _pictures(tmp_path, "a.jpg")
    kinds = [{"bolt": True}, {}, {"bolt": True, "nut": True}, {"bolt": False}, None]
    file = _via_2(tmp_path, {"a.jpg": [_region(kind=kind) for kind in kinds]})
    loaded = _load(tmp_path)
    assert [label for _, label, _ in _boxes(loaded)] == ["bolt"]
    nothing = "a region without a class: its attribute kind is missing or empty"
    details = {1: nothing, 2: "a region of several classes: bolt, nut", 3: nothing, 4: nothing}
    assert _found(loaded) == [
        ("unreadable_annotation", f"{file}: image a.jpg, annotation {number}: {detail}")
        for number, detail in details.items()
    ]


@pytest.mark.parametrize("write", [_via_2, _csv])
@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("a.jpg", "images/a.jpg"),
        ("cam1\\a.jpg", "cam1/a.jpg"),
        ("https://example.org/photos/a%20b.jpg?size=2", "a b.jpg"),
        ("photo, old.jpg", "photo, old.jpg"),
    ],
)
def test_where_the_images_lie(name: str, picture: str, write: Write, tmp_path: Path) -> None:
    """Beside the file or in `images`, with backslashes, named by a web address, with a comma."""
    _pictures(tmp_path, picture)
    write(tmp_path, {name: [_region(label="bolt")]})
    loaded = _load(tmp_path)
    assert not _found(loaded)
    assert loaded.splits["all"].paths == (str(tmp_path / picture),)


def test_broken_rows_of_a_csv_have_their_line(tmp_path: Path) -> None:
    """Too few cells, JSON that is none, an open quotation mark; the rest is read."""
    _pictures(tmp_path, "a.jpg")
    file = _csv(tmp_path, {"a.jpg": [_region(label="bolt"), _region(label="bolt")]})
    lines = file.read_text().splitlines()
    broken = lines[2].replace('""x""', '""x')
    file.write_text("\n".join([*lines[:2], "a.jpg,900", broken, "", 'a.jpg,900,"{}" x,1,0,"{}","{}"']))
    loaded = _load(tmp_path)
    assert len(_boxes(loaded)) == 1
    places = [place.partition(": ")[0] for code, place in _found(loaded) if code == "unreadable_annotation"]
    assert places == [f"{file}:3", f"{file}:4", f"{file}:6"]
    file.write_text("filename,region_shape_attributes,x,y,z,w,v\n")
    ((_, place),) = _found(_load(tmp_path), but=["empty_split"])
    assert "via_export_csv.csv:1: no CSV of VIA: its header lacks region_attributes" in place


def _project_of_via_3(folder: Path, metadata: dict[str, Json], *, kind: int = 2) -> Path:
    content = {
        "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1", "vid_list": ["1", "2"]},
        "config": {"file": {"loc_prefix": {"1": "", "2": ""}}, "ui": {}},
        "attribute": {
            "1": {"aname": "class", "anchor_id": "FILE1_Z0_XY1", "type": 3, "options": {"0": "bolt", "1": "nut"}},
            "2": {"aname": "seen", "anchor_id": "FILE1_Z0_XY1", "type": 2, "options": {"0": "top", "1": "side"}},
        },
        "file": {
            "1": {"fid": 1, "fname": "a.jpg", "type": kind, "loc": 1, "src": ""},
            "2": {"fid": "2", "fname": "b.jpg", "type": 2, "loc": 1, "src": ""},
        },
        "view": {"1": {"fid_list": [1]}, "2": {"fid_list": ["2"]}},
        "metadata": metadata,
    }
    return _saved(folder / "via_project.json", content)


def test_projects_of_via_3(tmp_path: Path) -> None:
    """Shapes are numbers with coordinates, classes are numbers of options; what is no region of an image is ignored."""
    _pictures(tmp_path, "a.jpg", "b.jpg")
    shapes = [
        [2, 10, 20, 30, 40],
        [3, 50, 40, 10],
        [4, 50, 40, 20, 10],
        [7, 1, 2, 30, 4, 15, 60],
        [8, 1, 9, 5, 2, 7, 30],
    ]
    metadata = {
        f"1_{number}": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": str(number % 2), "2": "0,1"}}
        for number, xy in enumerate(shapes)
    }
    metadata["1_x"] = {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"2": "0"}}
    _project_of_via_3(tmp_path, metadata)
    loaded = _load(tmp_path)
    assert loaded.format == "via"
    assert not _found(loaded)
    assert loaded.splits["all"].annotations.file_names == ("a.jpg", "b.jpg")
    assert _boxes(loaded) == [
        ("a.jpg", "bolt", [10, 20, 40, 60]),
        ("a.jpg", "nut", [40, 30, 60, 50]),
        ("a.jpg", "bolt", [30, 30, 70, 50]),
        ("a.jpg", "nut", [1, 2, 30, 60]),
        ("a.jpg", "bolt", [1, 2, 7, 30]),
    ]


def test_what_is_wrong_in_projects_of_via_3(tmp_path: Path) -> None:
    """A point, an unknown shape, too few coordinates, a view that is not there; a video is refused as a whole."""
    _pictures(tmp_path, "a.jpg", "b.jpg")
    rows: list[tuple[str, list[float]]] = [
        ("1", [1, 4, 5]),
        ("1", [9, 1, 2, 3]),
        ("1", [2, 10, 20]),
        ("7", [2, 1, 2, 3, 4]),
    ]
    metadata = {f"m{number}": {"vid": vid, "xy": xy, "av": {"1": "0"}} for number, (vid, xy) in enumerate(rows)}
    metadata["m9"] = {"vid": "2", "xy": [2, 10, 20, 30, 40], "av": {"1": "1"}}
    file = _project_of_via_3(tmp_path, metadata)
    loaded = _load(tmp_path)
    known = "is no shape that is read (rect, circle, ellipse, polygon, polyline)"
    assert _boxes(loaded) == [("b.jpg", "nut", [10, 20, 40, 60])]
    assert _found(loaded) == [
        ("unreadable_annotation", f"{file}: metadata m3: there is no view 7"),
        (
            "unreadable_annotation",
            f"{file}: image a.jpg, annotation 1: shape 9 {known}",
        ),
        ("unreadable_annotation", f"{file}: image a.jpg, annotation 2: a rect without width, height"),
        ("left_out", f"{file}: image a.jpg, annotation 0: a point has no area"),
    ]
    _project_of_via_3(tmp_path, {}, kind=4)
    ((_, place),) = _found(_load(tmp_path), but=["empty_split"])
    assert "this is a project of VIA 3 for videos" in place


def test_an_image_that_stands_twice_and_entries_that_are_none(tmp_path: Path) -> None:
    """Two entries of one file name; an entry without one is told by its key."""
    _pictures(tmp_path, "a.jpg", "b.jpg")
    entries = _entries({"a.jpg": [_region(label="bolt")], "b.jpg": [_region(label="nut")]})
    entries["b.jpg7"] = entries["b.jpg901"]
    entries["odd"] = {"regions": []}
    _saved(tmp_path / "via.json", entries)
    loaded = _load(tmp_path)
    assert [label for _, label, _ in _boxes(loaded)] == ["bolt"]
    assert [code for code, _ in _found(loaded)] == ["unreadable_annotation", "duplicate_image_id"]
    assert "image odd: Object missing required field `filename`" in _found(loaded)[0][1]


def test_columns_belong_to_csv_and_via(tmp_path: Path) -> None:
    """Another format refuses them, with the formats that have them; so does one that `auto` finds."""
    root = dataset(tmp_path, "coco", train=2, val=2)
    (problem,) = load(
        FilesDataset(format="auto", path=root, columns={"class": "x"}), depth="labels"
    ).findings.problems()
    assert "columns are for csv and via, and this is coco; remove them" in str(problem)
    with pytest.raises(ValueError, match="columns are for csv and via, and this is coco; remove them"):
        FilesDataset(format="coco", path=Path(), columns={"class": "x"})
