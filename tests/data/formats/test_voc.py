"""Objects of VOC files become boxes as the tools meant them; what cannot be one box is told at its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset

_BOX = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox>"

_UNSORTED = "<bndbox><ymax> 60.5 </ymax><xmax>40</xmax>\n<ymin>21</ymin><xmin>11.25</xmin></bndbox>"


def _object(inside: str, name: str = "bolt") -> str:
    return f"<object><name>{name}</name>{inside}</object>"


def _load(folder: Path, *objects: str, encoding: str = "utf-8", corners_from: Literal[0, 1] = 1) -> LoadedDataset:
    Image.new("RGB", (100, 80)).save(folder / "a.png")
    lines = ["<annotation>", "<filename>a.png</filename>", *objects, "</annotation>"]
    first = f'<?xml version="1.0" encoding="{encoding}"?>'
    (folder / "a.xml").write_text("\n".join([first, *lines]), encoding=encoding)
    return load(FilesDataset(format="auto", path=folder, corners_from=corners_from), depth="headers")


def _boxes(loaded: LoadedDataset) -> list[tuple[str, tuple[float, ...], bool]]:
    found = loaded.splits["all"].annotations
    columns = zip(found.labels, found.boxes.tolist(), found.crowds.tolist(), strict=True)
    return [(found.class_names[label], tuple(round(side, 3) for side in box), crowd) for label, box, crowd in columns]


@pytest.mark.parametrize("encoding", ["GB2312", "Shift_JIS", "UTF-16"])
def test_files_in_other_encodings(encoding: str, tmp_path: Path) -> None:
    """The names of classes are those that the tool showed."""
    loaded = _load(tmp_path, _object(_BOX, "地球"), encoding=encoding)
    assert _boxes(loaded) == [("地球", (10, 20, 40, 60), False)]


@pytest.mark.parametrize(
    ("inside", "box", "crowd"),
    [
        (_UNSORTED, (10.25, 20, 40, 60.5), False),
        (f"<difficult>Unspecified</difficult>{_BOX}", (10, 20, 40, 60), False),
        (f"<difficult>False</difficult>{_BOX}", (10, 20, 40, 60), False),
        (f"<difficult></difficult>{_BOX}", (10, 20, 40, 60), False),
        (f"<difficult> 1 </difficult>{_BOX}", (10, 20, 40, 60), True),
        (f"<difficult>True</difficult>{_BOX}", (10, 20, 40, 60), True),
        (f"<difficult>yes</difficult>{_BOX}", (10, 20, 40, 60), True),
        (f"<part><name>head</name>{_BOX.replace('11', '31')}</part>{_BOX}", (10, 20, 40, 60), False),
        (f"{_BOX}<part><name>head</name>{_BOX.replace('11', '31')}</part>", (10, 20, 40, 60), False),
        (f"{_BOX}<attributes><attribute><name>colour</name></attribute></attributes>", (10, 20, 40, 60), False),
        (f"<polygon><x1>1</x1><y1>2</y1></polygon>{_BOX}", (10, 20, 40, 60), False),
    ],
)  # fmt: skip
def test_objects_that_tools_write(inside: str, box: tuple[float, ...], crowd: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Corners in any order, other words for difficult, and parts and attributes, which are no objects."""
    loaded = _load(tmp_path, _object(inside), _object(_BOX, "nut"))
    assert _boxes(loaded) == [("bolt", box, crowd), ("nut", (10, 20, 40, 60), False)]
    assert not loaded.findings.problems()


@pytest.mark.parametrize(
    ("angle", "box"),
    [(0, (30, 35, 70, 45)), (math.pi / 2, (45, 20, 55, 60)), (-math.pi / 6, (30.179, 25.670, 69.821, 54.330))],
)
def test_rotated_boxes_are_their_bounds(angle: float, box: tuple[float, ...], tmp_path: Path) -> None:
    """The `robndbox` of roLabelImg, 40 × 10 around (50, 40)."""
    rotated = f"<robndbox><cx>50</cx><cy>40</cy><w>40</w><h>10</h><angle>{angle}</angle></robndbox>"
    loaded = _load(tmp_path, _object(rotated), _object(f"{_BOX}{rotated}", "nut"))
    assert _boxes(loaded) == [("bolt", box, False), ("nut", (10, 20, 40, 60), False)]


@pytest.mark.parametrize(
    ("written", "detail"),
    [
        (_object(_BOX * 3), "object with 3 bndbox, expected one: write an <object> for each"),
        (_object(f"{_BOX}<name>nut</name>"), "object with 2 name, expected one: write an <object> for each"),
        (_object(_BOX.replace("<ymin>", "<xmin>9</xmin><ymin>")), "object with 2 xmin, expected one"),
        (f"<object>{_BOX}</object>", "object without name"),
        (_object(_BOX, ""), "object without name"),
        (_object(""), "object without bndbox"),
        (_object("<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax>"), "object without bndbox"),
        (_object(_BOX.replace("<xmin>11</xmin>", "")), "object without xmin"),
        (_object(_BOX.replace("11", "").replace("60", "")), "object without xmin, ymax"),
        (_object(_BOX.replace("11", "11,5").replace("60", "60px")), "xmin is '11,5', ymax is '60px': no number"),
        (_object("<robndbox><cx>50</cx><cy>40</cy><w>40</w><h>10</h></robndbox>"), "object without angle"),
    ],
)
def test_objects_that_are_not_one_box_are_told(written: str, detail: str, tmp_path: Path) -> None:
    """At the line of the object; the others of the image are read."""
    loaded = _load(tmp_path, _object(_BOX, "nut"), written)
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.count) == ("unreadable_annotation", 1)
    assert problem.places[0].line == 5
    assert problem.places[0].detail.startswith(detail)
    assert _boxes(loaded) == [("nut", (10, 20, 40, 60), False)]


def _corners(*sides: float) -> str:
    named = zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)
    return "<bndbox>" + "".join(f"<{name}>{side}</{name}>" for name, side in named) + "</bndbox>"


def test_corners_that_count_from_zero(tmp_path: Path) -> None:
    """No border is crossed; boxes are read as VOC defines, or exactly if the suite says from where they count."""
    rotated = "<robndbox><cx>50</cx><cy>40</cy><w>40</w><h>10</h><angle>0</angle></robndbox>"
    objects = [_object(_corners(*sides)) for sides in ((0, 0, 30, 30), (50, 50, 100, 80), (20, -0.4, 40, 9))]
    loaded = _load(tmp_path, *objects, _object(rotated))
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.count, problem.places[0].file) == ("corners_from_zero", 1, str(tmp_path))
    assert problem.places[0].detail.startswith(f"2 of 4 boxes begin at 0; the first: {tmp_path / 'a.xml'}:4")
    assert "corners_from: 0" in str(problem)
    plain = [(0, 0, 30, 30), (49, 49, 100, 80), (19, 0, 40, 9), (30, 35, 70, 45)]
    assert [box for _, box, _ in _boxes(loaded)] == plain
    exact = _load(tmp_path, *objects, _object(rotated), corners_from=0)
    assert not exact.findings.problems()
    assert [box for _, box, _ in _boxes(exact)] == [(0, 0, 30, 30), (50, 50, 100, 80), (20, 0, 40, 9), (30, 35, 70, 45)]


@pytest.mark.parametrize("sides", [(-2, 5, 30, 30), (0, -2, 30, 30), (0, 5, 103, 30), (5, 0, 30, 81)])
def test_boxes_at_zero_that_do_cross_a_border(sides: tuple[float, ...], tmp_path: Path) -> None:
    """Beyond any first pixel, or at the other end."""
    codes = {problem.code for problem in _load(tmp_path, _object(_corners(*sides))).findings.problems()}
    assert "box_crosses_border" in codes


def test_two_images_in_one_file(tmp_path: Path) -> None:
    """Two files pasted into one: nobody knows whose the boxes are; the same name twice is harmless."""
    loaded = _load(tmp_path, _object(_BOX), "<filename>b.png</filename>", _object(_BOX))
    problem = loaded.findings.problems()[0]
    assert (problem.code, problem.places[0].line) == ("unreadable_annotation", 5)
    assert "two images in one file, a.png and b.png" in problem.places[0].detail
    assert len(_boxes(_load(tmp_path, "<filename>a.png</filename>", _object(_BOX)))) == 1


def test_corners_from_is_for_voc(tmp_path: Path) -> None:
    """In another format it is refused, whether the suite names that one or it is found."""
    with pytest.raises(ValueError, match="corners_from is for voc, and this is coco"):
        FilesDataset(format="coco", path=tmp_path, corners_from=0)
    (tmp_path / "a.csv").write_text("a.png,0,0,30,30,bolt\n")
    loaded = load(FilesDataset(format="auto", path=tmp_path, corners_from=0), depth="labels")
    assert "corners_from is for voc, and this is csv" in str(loaded.findings.problems()[0])


def test_on_name_conflict_is_for_voc_and_labelme(tmp_path: Path) -> None:
    """Other formats have no label file an image that names it."""
    with pytest.raises(ValueError, match="on_name_conflict is for voc and labelme, and this is coco"):
        FilesDataset(format="coco", path=tmp_path, on_name_conflict="stem")
    (tmp_path / "a.csv").write_text("a.png,0,0,30,30,bolt\n")
    loaded = load(FilesDataset(format="auto", path=tmp_path, on_name_conflict="stem"), depth="labels")
    assert "on_name_conflict is for voc and labelme, and this is csv" in str(loaded.findings.problems()[0])
