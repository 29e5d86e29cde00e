"""Boxes in another unit or order than their format has are one error of their file, and read as they are meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.data.check import check
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.data.problems import Findings
from harness.data.raw import RawAnnotations
from harness.data.units import as_meant
from harness.suite.formats import WITH_A_UNIT_OF_THEIR_OWN
from harness.suite.schema import FilesDataset
from tests.data.shots import SIZE, Box, shots
from tests.data.write import FORMATS, dataset, label_file, write_labels

_IN_PIXELS = [name for name in FORMATS if name not in WITH_A_UNIT_OF_THEIR_OWN]
_TRAIN, _VAL = 12, 6

Change = Callable[[float, float, float, float], tuple[float, float, float, float]]


def _load(root: Path, name: str, *, normalised: bool = False) -> LoadedDataset:
    return load(FilesDataset(format=name, path=root, normalised=normalised), depth="headers")  # type: ignore[arg-type]


def _boxes(loaded: LoadedDataset, split: str = "train") -> np.ndarray:
    return loaded.splits[split].annotations.boxes


def _rewrite(root: Path, name: str, change: Change, split: str = "train") -> None:
    """Write the labels of one split with other numbers in the place of x1, y1, x2, y2."""

    def changed(box: Box) -> Box:
        return (box[0], *change(*box[1:]))

    written = [
        replace(shot, boxes=tuple(map(changed, shot.boxes)))
        for shot in shots(split, _TRAIN if split == "train" else _VAL)
    ]
    write_labels(root, name, split, written)


def _fractions(first_pixel: int) -> Change:
    """The corners as fractions; the writer of a format that counts from 1 adds 1, which fractions do not have."""
    return lambda x1, y1, x2, y2: (x1 / SIZE - first_pixel, y1 / SIZE - first_pixel, x2 / SIZE, y2 / SIZE)


@pytest.fixture
def root(tmp_path: Path, name: str) -> Path:
    return dataset(tmp_path / "set", name, train=_TRAIN, val=_VAL)


@pytest.mark.parametrize("name", _IN_PIXELS)
def test_fractions_in_a_format_of_pixels(name: str, root: Path) -> None:
    """One error, which skipping does not mend, and nothing else; `normalised: true` reads the boxes that are meant."""
    clean = _load(root, name)
    for split in ("train", "val"):
        _rewrite(root, name, _fractions(clean.splits[split].raw.first_pixel), split)
    checked = check(FilesDataset(format=name, path=root), fast=False, workers=1)  # type: ignore[arg-type]
    (problem,) = checked.problems
    assert (problem.code, problem.severity, problem.count) == ("boxes_in_fractions", "error", 2)
    assert "boxes lie within 0–1; the first: train001.jpg: [0." in str(problem)
    assert "normalised: true" in str(problem)
    loaded = _load(root, name)
    assert loaded.fatal("skip") == (problem,)
    loaded = _load(root, name, normalised=True)
    assert not loaded.findings.problems()
    for split in ("train", "val"):
        assert np.abs(_boxes(loaded, split) - _boxes(clean, split)).max() < 1e-2


@pytest.mark.parametrize("name", _IN_PIXELS)
def test_pixels_where_the_suite_says_fractions(name: str, root: Path) -> None:
    """One error a split, in the place of a box outside its image each; the boxes are read as pixels."""
    clean = _load(root, name)
    loaded = _load(root, name, normalised=True)
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.count) == ("boxes_in_pixels", 2)
    assert "boxes have values of 2 and more" in str(problem)
    assert "remove normalised: true" in str(problem)
    if not clean.splits["train"].raw.first_pixel:
        assert (_boxes(loaded) == _boxes(clean)).all()


@pytest.mark.parametrize("name", sorted(WITH_A_UNIT_OF_THEIR_OWN & set(FORMATS)))
def test_formats_that_define_their_unit_refuse_another(name: str, root: Path) -> None:
    """By name when the suite is read, and with `auto` where the format is found."""
    with pytest.raises(ValueError, match=f"{name} defines its own unit"):
        FilesDataset(format=name, path=root, normalised=True)  # type: ignore[arg-type]
    (problem,) = load(FilesDataset(format="auto", path=root, normalised=True), depth="labels").findings.problems()
    assert f"{name} defines its own unit; remove it" in str(problem)


_ORDERED = [name for name in FORMATS if name not in {"labelme", "labelstudio"}]  # corners of LabelMe may be any two


@pytest.mark.parametrize("name", _ORDERED)
def test_another_order_of_the_four_numbers(name: str, root: Path) -> None:
    """Two corners for a corner and a size, and the reverse: one error with both counts, the boxes as meant."""
    clean = _load(root, name)
    raw = clean.splits["train"].raw
    if raw.centred:
        _rewrite(root, name, lambda x1, y1, x2, y2: (x1 - x2 / 2, y1 - y2 / 2, x1 + x2 / 2, y1 + y2 / 2))
    elif raw.written_as_sizes:
        _rewrite(root, name, lambda x1, y1, x2, y2: (x1, y1, x1 + x2, y1 + y2))
    else:
        _rewrite(root, name, lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1))
    loaded = _load(root, name)
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.count) == ("corners_as_sizes" if raw.written_as_sizes else "sizes_as_corners", 1)
    total = sum(len(shot.boxes) for shot in shots("train", _TRAIN))
    assert f"of {total} boxes" in str(problem)
    assert f"{total} lie inside" in str(problem)
    assert "columns: {" in str(problem)
    assert loaded.fatal("skip") == (problem,)
    assert np.abs(_boxes(loaded) - _boxes(clean)).max() <= raw.first_pixel + 1e-2


@pytest.mark.parametrize("name", ["coco", "createml", "yolo"])
def test_the_centre_for_the_corner(name: str, root: Path) -> None:
    """A corner where CreateML and YOLO have the centre, a centre where COCO has the corner."""
    clean = _load(root, name)
    half = -0.5 if name == "coco" else 0.5

    def moved(x1: float, y1: float, x2: float, y2: float) -> tuple[float, float, float, float]:
        across, down = half * (x2 - x1), half * (y2 - y1)
        return x1 - across, y1 - down, x2 - across, y2 - down

    _rewrite(root, name, moved)
    loaded = _load(root, name)
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.count) == ("corner_or_centre", 1)
    assert "all lie inside" in str(problem)
    assert np.abs(_boxes(loaded) - _boxes(clean)).max() < 1e-2


def test_corners_in_fractions_are_told_as_both(tmp_path: Path) -> None:
    """Two faults of one file, with what to do about each, also where the suite has told one."""
    root = dataset(tmp_path, "coco", train=_TRAIN, val=_VAL)
    clean = _load(root, "coco")
    _rewrite(root, "coco", lambda x1, y1, x2, y2: (x1 / SIZE, y1 / SIZE, (x1 + x2) / SIZE, (y1 + y2) / SIZE))
    loaded = _load(root, "coco")
    assert [problem.code for problem in loaded.findings.problems()] == ["boxes_in_fractions", "corners_as_sizes"]
    assert np.abs(_boxes(loaded) - _boxes(clean)).max() < 1e-2


def test_one_file_in_fractions_among_others(tmp_path: Path) -> None:
    """Where each image has its own file, each is judged; a box of a whole pixel may be one."""
    root = dataset(tmp_path, "voc", train=_TRAIN, val=_VAL)
    text = "<annotation><filename>{0}.jpg</filename><object><name>disc</name><bndbox><xmin>{1}</xmin><ymin>{1}</ymin>"
    text += "<xmax>{2}</xmax><ymax>{2}</ymax></bndbox></object></annotation>"
    label_file(root, "voc", "train", "train001.jpg").write_text(text.format("train001", 0.25, 0.5))
    label_file(root, "voc", "train", "train002.jpg").write_text(text.format("train002", 0, 1))
    checked = check(FilesDataset(format="voc", path=root), fast=True, workers=1)
    problem = checked.problems[0]
    assert (problem.code, problem.count) == ("boxes_in_fractions", 1)
    assert problem.places[0].file.endswith("train001.xml")
    assert "tiny_box" in {problem.code for problem in checked.problems}


def test_an_area_in_fractions_means_nothing(tmp_path: Path) -> None:
    """COCO's areas decide which boxes count as small; those of fractions would make all of them small."""
    root = dataset(tmp_path, "coco", train=_TRAIN, val=_VAL)
    for split in ("train", "val"):
        _rewrite(root, "coco", _fractions(0), split)
        file = label_file(root, "coco", split, "")
        content = json.loads(file.read_text())
        for annotation in content["annotations"]:
            annotation["area"] = 0.1
        file.write_text(json.dumps(content))
    columns = _load(root, "coco", normalised=True).splits["train"].annotations
    assert np.allclose(columns.areas, (columns.boxes[:, 2:] - columns.boxes[:, :2]).prod(axis=1))


def _raw(boxes: np.ndarray, *, written_as_sizes: bool = False, centred: bool = False) -> RawAnnotations:
    """One image of 200 × 100 with these boxes."""
    count = len(boxes)
    return RawAnnotations(
        class_names=("a",),
        declared=True,
        images=None,
        names=("a.jpg",),
        files=("a.json",),
        box_files=("a.json",),
        sizes=np.array([[200, 100]], dtype=np.int32),
        image_numbers=np.zeros(1, dtype=np.int64),
        owners=np.zeros(count, dtype=np.int64),
        boxes=boxes,
        fractional=np.zeros(count, dtype=np.bool_),
        labels=np.zeros(count, dtype=np.int64),
        crowds=np.zeros(count, dtype=np.bool_),
        areas=np.full(count, np.nan),
        numbers=np.arange(count),
        numbered_by="index",
        written_as_sizes=written_as_sizes,
        centred=centred,
    )


def _judged(boxes: np.ndarray, **fields: bool) -> list[str]:
    raw, findings = _raw(boxes, **fields), Findings()
    as_meant(raw, raw.sizes, file=Path("a.json"), normalised=False, findings=findings)
    return [problem.code for problem in findings.problems()]


_ORDERS: tuple[dict[str, bool], ...] = ({}, {"written_as_sizes": True}, {"written_as_sizes": True, "centred": True})


@pytest.mark.parametrize("fields", _ORDERS)
@pytest.mark.parametrize("count", [1, 2, 3, 10, 200])
@pytest.mark.parametrize("largest", [0.05, 0.3, 0.9, 1.0])
def test_sound_boxes_raise_no_alarm(fields: dict[str, bool], count: int, largest: float) -> None:
    """Small and large objects, few and many, drawn up to 4 % over the border."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sides = rng.uniform(largest / 4, largest, (count, 2))
        corner = rng.uniform(0, 1, (count, 2)) * (1 - sides)
        edges = np.concatenate((corner, corner + sides), axis=1) + rng.uniform(-0.04, 0.04, (count, 4)) * largest
        edges[:, 2:] = np.maximum(edges[:, 2:], edges[:, :2] + 0.005)
        assert _judged(edges * (200, 100, 200, 100), **fields) == []


@pytest.mark.parametrize("fields", _ORDERS)
@pytest.mark.parametrize(
    "boxes",
    [
        [[1, 1, 201, 101]] * 5,  # whole images, counted from 1
        [[0, 0, 200, 100]] * 5,
        [[0, 0, 0, 0]] * 5,  # placeholders: no box at all, whatever the unit
        [[150, 60, 230, 130]],  # one box alone may be a slip
        [[60, 40, 20, 20]],
        [[float("nan")] * 4] * 5,
        [[0.5, 0.5, 1.5, 1.5], [20, 20, 60, 50]],
        [[300, 300, 400, 400]] * 5,  # of a larger image, in every order
    ],
)
def test_what_may_be_something_else_is_left_to_the_rules_of_boxes(
    fields: dict[str, bool], boxes: list[list[float]]
) -> None:
    """Sound sets of large boxes, and faults that another reading does not explain."""
    assert _judged(np.array(boxes, dtype=np.float64), **fields) == []


def test_large_boxes_by_their_corner_where_the_format_has_the_centre() -> None:
    """They would fit as two corners too, which is less likely."""
    corners = np.array([[2, 3, 150, 90], [20, 1, 190, 95], [5, 5, 160, 80]], dtype=np.float64)
    half = (corners[:, 2:] - corners[:, :2]) / 2
    assert _judged(corners - np.tile(half, 2), written_as_sizes=True, centred=True) == ["corner_or_centre"]


def test_some_swapped_corners_are_enough() -> None:
    """Of large objects few widths and heights are smaller than x and y; all boxes fit as sizes."""
    boxes = np.array([[2, 3, 150, 90]] * 10 + [[120, 60, 60, 30]] * 2, dtype=np.float64)
    assert _judged(boxes) == ["sizes_as_corners"]
