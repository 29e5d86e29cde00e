"""The header or the suite says what the columns of a CSV hold; a box that is written in any way is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.data.check import check
from harness.data.formats.csv_header import read_header
from harness.data.formats.source import UnreadableError
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset
from tests.data.shots import SIZE, shots
from tests.data.write import dataset

_TRAIN, _VAL = 12, 6


def _values(image: str, label: str, x1: float, y1: float, x2: float, y2: float) -> dict[str, object]:
    """What a header may ask for, of one box."""
    box = {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "w": x2 - x1, "h": y2 - y1, "cx": (x1 + x2) / 2, "cy": (y1 + y2) / 2}
    names = {"image": image, "stem": Path(image).stem, "class": label, "empty": ""}
    return {**names, **box, "width": SIZE, "height": SIZE}


def _write(root: Path, header: str | None, meanings: Sequence[str]) -> None:
    """Write all labels with these columns; images without boxes have a row of their name alone."""
    for split, count in (("train", _TRAIN), ("val", _VAL)):
        rows = [header] if header else []
        for shot in shots(split, count):
            empty = {
                **_values(shot.name, "", 0, 0, 0, 0),
                **dict.fromkeys(("x1", "y1", "x2", "y2", "w", "h", "cx", "cy"), ""),
            }
            values = [_values(shot.name, *box) for box in shot.boxes] or [empty]
            rows += [",".join(str(value[meaning]) for meaning in meanings) for value in values]
        (root / split / "labels.csv").write_text("\n".join(rows) + "\n")


def _load(root: Path, columns: Mapping[str, str] | None = None, *, normalised: bool = False) -> LoadedDataset:
    source = FilesDataset(format="csv", path=root, columns=columns, normalised=normalised)  # type: ignore[arg-type]
    return load(source, depth="headers")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("csv"), "csv", train=_TRAIN, val=_VAL)


@pytest.fixture(scope="module")
def clean(root: Path) -> np.ndarray:
    _write(root, None, ("image", "x1", "y1", "x2", "y2", "class"))
    loaded = _load(root)
    assert not loaded.findings.problems()
    return loaded.splits["train"].annotations.boxes


@pytest.mark.parametrize(
    ("header", "meanings"),
    [
        ("image_id,class,xmin,ymin,xmax,ymax", "stem class x1 y1 x2 y2"),
        ("image_id,x,y,w,h,label", "image x1 y1 w h class"),
        ("image_id,class_id,cx,cy,w,h", "image class cx cy w h"),
        ("img,x1,y1,w,h,class", "image x1 y1 w h class"),
        ("filename,x,y,width,height,class", "image x1 y1 w h class"),
        ("filename,xmin,ymin,width,height,class", "image x1 y1 w h class"),
        ("filename,x_center,y_center,width,height,class", "image cx cy w h class"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "image width height class x1 y1 x2 y2"),
        ("filename,width,height,class,x,y,w,h", "image width height class x1 y1 w h"),
        ("filename,image_width,image_height,class,cx,cy,width,height", "image width height class cx cy width height"),
        ("label_name,bbox_x,bbox_y,bbox_w,bbox_height,img_name,img_w,img_h", "class x1 y1 w h image width height"),
        ("filename,col_x,row_y,width,height,label", "image x1 y1 w h class"),
        ("Frame,xmin,xmax,ymin,ymax,Label", "image x1 x2 y1 y2 class"),
        (",Image ID,X Min,Y-Min,x.max,Y max,Class Name", "empty image x1 y1 x2 y2 class"),
        ("filename,xmin,ymin,xmax,ymax,cx,cy,w,h,class", "image x1 y1 x2 y2 cx cy w h class"),
        ("image_id,filename,x1,y1,x2,y2,class_id,class", "empty image x1 y1 x2 y2 empty class"),
    ],
)  # fmt: skip
def test_headers_in_use(header: str, meanings: str, root: Path, clean: np.ndarray) -> None:
    """Corners, or a corner or a centre with sizes, in any order: the same boxes, and nothing to tell."""
    wanted = meanings.split()
    if header.endswith("cx,cy,width,height"):
        wanted[-2:] = ["w", "h"]
    _write(root, header, wanted)
    loaded = _load(root)
    assert not loaded.findings.problems(), loaded.findings.problems()
    columns = loaded.splits["train"].annotations
    assert np.abs(columns.boxes - clean).max() < 1e-3
    assert len(columns.file_names) == _TRAIN


@pytest.mark.parametrize(
    ("header", "meanings", "columns"),
    [
        ("a,b,c,d,e,class", "image x1 y1 w h class", {"image": "a", "x1": "b", "y1": "c", "w": "d", "h": "e"}),
        ("a,b,c,d,e,class", "image cx cy w h class", {"image": "a", "cx": "b", "cy": "c", "w": "d", "h": "e"}),
        ("image,x1,y1,x2,y2,class", "image x1 y1 w h class", {"w": "x2", "h": "y2"}),
        ("image,x,y,w,h,class", "image cx cy w h class", {"cx": "x", "cy": "y"}),
        ("image,x,y,w,h,class", "image x1 y1 x2 y2 class", {"x2": "w", "y2": "h"}),
        ("image,x1,y1,x2,y2,class", "image cx cy w h class", {"cx": "x1", "cy": "y1", "w": "x2", "h": "y2"}),
        ("image,x,y,width,height,class", "image x1 y1 x2 y2 class", {"x2": "width", "y2": "height"}),
    ],
)  # fmt: skip
def test_columns_that_the_suite_names_count_first(
    header: str, meanings: str, columns: Mapping[str, str], root: Path, clean: np.ndarray
) -> None:
    """Whatever the header calls them."""
    _write(root, header, meanings.split())
    loaded = _load(root, columns)
    assert not loaded.findings.problems()
    assert np.abs(loaded.splits["train"].annotations.boxes - clean).max() < 1e-3


@pytest.mark.parametrize(
    ("header", "meanings", "code", "hint"),
    [
        ("image,x1,y1,x2,y2,class", "image x1 y1 w h class", "sizes_as_corners", "columns: {w: x2, h: y2}"),
        (None, "image x1 y1 w h class", "sizes_as_corners", "columns: {w: x2, h: y2}"),
        ("image,x,y,width,height,class", "image x1 y1 x2 y2 class", "corners_as_sizes", "{x2: width, y2: height}"),
        ("image,x,y,w,h,class", "image cx cy w h class", "corner_or_centre", "columns: {cx: x, cy: y}"),
    ],
)  # fmt: skip
def test_columns_that_hold_something_else(header: str | None, meanings: str, code: str, hint: str, root: Path) -> None:
    """Their numbers show it: one error a file, with the words for the suite."""
    _write(root, header, meanings.split())
    problem = _load(root).findings.problems()[0]
    assert (problem.code, problem.count) == (
        code,
        1 if code == "corner_or_centre" else 2,
    )  # few boxes leave val's images
    assert hint in str(problem)


def test_centres_in_fractions(root: Path, clean: np.ndarray) -> None:
    """As YOLO's numbers in a table: an error that says so, and right with `normalised: true`."""
    for split, count in (("train", _TRAIN), ("val", _VAL)):
        lines = ["image_id,class_id,cx,cy,w,h"]
        for shot in shots(split, count):
            for label, *corners in shot.boxes or [("", 0.0, 0.0, 0.0, 0.0)]:
                x1, y1, x2, y2 = (value / SIZE for value in corners)
                numbers = f"{(x1 + x2) / 2},{(y1 + y2) / 2},{x2 - x1},{y2 - y1}" if label else ",,,"
                lines.append(f"{shot.name},{label},{numbers}")
        (root / split / "labels.csv").write_text("\n".join(lines))
    (problem,) = _load(root).findings.problems()
    assert problem.code == "boxes_in_fractions"
    loaded = _load(root, normalised=True)
    assert not loaded.findings.problems()
    assert np.abs(loaded.splits["train"].annotations.boxes - clean).max() < 1e-2


@pytest.mark.parametrize(
    ("header", "columns", "said"),
    [
        ("image_id,width,height,bbox,source", None, "without x1, y1, class; bbox holds a whole box"),
        ("image,x1,y1,x2,class,more", None, "without y2;"),
        ("image,x,y,w,class,more", None, "without h;"),
        ("image,cx,y,w,h,class", None, "without x1;"),
        ("x1,y1,x2,y2,class,more", None, "without image;"),
        ("image,x1,y1,x2,y2,more", None, "without class;"),
        ("image,x1,y1,x2,y2,class", {"w": "x2", "y2": "y2"}, "name x2 and y2, or w and h"),
        ("image,x1,y1,x2,y2,class", {"w": "x2"}, "without h;"),
        ("image,x,y,w,h,class", {"cx": "x"}, "without cy;"),
        ("image,x1,y1,x2,y2,class", {"w": "breadth"}, "no column breadth (for w)"),
    ],
)
def test_what_is_missing_is_said(header: str, columns: Mapping[str, str] | None, said: str) -> None:
    """By the names that `columns` has, and with what a cell of four numbers needs."""
    with pytest.raises(UnreadableError) as raised:
        read_header(header.split(","), columns, 1)
    assert said in raised.value.detail
    assert raised.value.line == 1


def test_a_cell_with_a_whole_box_is_named(tmp_path: Path) -> None:
    """As in a Kaggle set of wheat heads, also without naming the format."""
    (tmp_path / "train.csv").write_text(
        'image_id,width,height,bbox,source\na1,1024,1024,"[834.0, 222.0, 56.0, 36.0]",x\n'
    )
    problem = check(FilesDataset(format="auto", path=tmp_path), fast=True, workers=1).problems[0]
    assert problem.code == "unreadable_annotation"
    assert "train.csv:1: expected rows of" in str(problem)
    assert "bbox holds a whole box: write its four numbers in columns of their own" in str(problem)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('"image_id","x","y","w","h"', "without class;"),
        ("x1,y1,x2,y2", "without image, class;"),
        ("image_id;bbox", "bbox holds a whole box"),
        ("image,label", "none of"),
        ("image,class,width,height", "none of"),
    ],
)
def test_a_table_of_boxes_is_known_by_its_header(header: str, said: str, tmp_path: Path) -> None:
    """What is missing is told where the columns of a box are there; other tables are none of boxes."""
    (tmp_path / "train.csv").write_text(f"{header}\n")
    problem = check(FilesDataset(format="auto", path=tmp_path), fast=True, workers=1).problems[0]
    assert said in str(problem)
