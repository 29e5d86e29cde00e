"""Real labelled images, dirt included, are read with the counts that were made by hand, and each dirty place is told.

They are not part of the project. Name their folder in `HARNESS_REAL_DATA`, or put it beside the project as
`shared/data`; without them these tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.data.check import CheckResult, check
from harness.suite.schema import FilesDataset
from tests.conftest import ROOT

_FOLDER = Path(os.environ.get("HARNESS_REAL_DATA", ROOT.parent / "shared" / "data"))


def _checked(path: Path) -> CheckResult:
    return check(FilesDataset(format="auto", path=path), fast=True, workers=1)


def _real(name: str) -> Path:
    if not (_FOLDER / name).is_dir():
        pytest.skip(f"no real data {name}")
    return _FOLDER / name


def _counts(checked: CheckResult) -> dict[str, int]:
    return {problem.code: problem.count for problem in checked.problems}


def test_blood_cells_in_voc() -> None:
    """BCCD: three splits by ImageSets, and two boxes of no area."""
    checked = _checked(_real("bccd") / "BCCD")
    assert checked.format == "voc"
    assert checked.splits == {"train": (205, 2804), "val": (87, 1137), "test": (72, 945)}
    assert checked.class_names == ("Platelets", "RBC", "WBC")
    assert _counts(checked) == {"degenerate_box": 2}
    places = {Path(place.file).name: place.line for place in checked.problems[0].places}
    assert places == {"BloodImage_00338.xml": 158, "BloodImage_00343.xml": 50}


def test_circuit_boards_in_coco() -> None:
    """DeepPCB: three clean files beside one folder of images."""
    checked = _checked(_real("deeppcb"))
    assert checked.format == "coco"
    assert checked.splits == {"train": (160, 1068), "val": (40, 254), "test": (40, 275)}
    assert len(checked.class_names) == 6
    assert not checked.problems


def test_chess_boards_as_roboflow_exports_coco() -> None:
    """Two of fourteen classes have no box."""
    checked = _checked(_real("chess"))
    assert checked.splits == {"train": (24, 199), "val": (8, 49), "test": (8, 70)}
    assert _counts(checked) == {"class_without_boxes": 2}
    assert {place.detail for place in checked.problems[0].places} == {"pieces", "bishop"}


def test_ships_whose_data_yaml_is_wrong() -> None:
    """It names a folder `valid` where there is `validate`: an error that says so, never an empty split."""
    checked = _checked(_real("ships"))
    (problem,) = (problem for problem in checked.problems if "valid" in str(problem.places[0]))
    assert problem.severity == "error"
    assert "valid/images" in problem.places[0].detail
    assert "validate/images" in problem.places[0].detail


def test_ships_with_the_folder_and_the_classes_named(tmp_path: Path) -> None:
    """Boxes, polygons, images without labels, and labels without an image: all counted."""
    real = _real("ships")
    for split in ("train", "validate", "test"):
        (tmp_path / split).symlink_to(real / split)
    (tmp_path / "data.yaml").write_text(
        "train: train/images\nval: validate/images\ntest: test/images\nnames: [ship, b, c, d, e]\n"
    )
    data = FilesDataset(format="yolo", path=tmp_path / "data.yaml")
    checked = check(data, fast=True, workers=1)
    assert {split: images for split, (images, _) in checked.splits.items()} == {"train": 405, "val": 99, "test": 63}
    assert {split: boxes for split, (_, boxes) in checked.splits.items()} == {"train": 472, "val": 116, "test": 82}
    assert _counts(checked)["missing_image"] == 34
