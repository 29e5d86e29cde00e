"""Statistics, the contact sheet and the export tell what the harness really reads."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, Command
from tests.data.shots import CLASSES, SIZE, Shot, shots
from tests.data.write import FORMATS, dataset, image_folder, write_labels


@pytest.mark.parametrize("name", FORMATS)
def test_statistics_need_no_images_where_sizes_are_told(name: str, harness_command: Command, tmp_path: Path) -> None:
    """Boxes per class and split, COCO's sizes, image sizes, boxes per image; the same with the images deleted."""
    root = dataset(tmp_path, name, train=8, val=4)
    done = harness_command("data", "stats", root, "--json")
    assert done.returncode == 0, done.stderr
    before = json.loads(done.stdout)["splits"]
    everything = {"train": shots("train", 8), "val": shots("val", 4)}
    for split, found in before.items():
        boxes = [box for shot in everything[split] for box in shot.boxes]
        assert (found["images"], found["boxes"]) == (len(everything[split]), len(boxes))
        assert found["images_without_boxes"] == sum(not shot.boxes for shot in everything[split])
        assert found["boxes_per_class"] == {label: sum(box[0] == label for box in boxes) for label in CLASSES}
        areas = [(x2 - x1) * (y2 - y1) for _, x1, y1, x2, y2 in boxes]
        small, medium = sum(area < 1024 for area in areas), sum(1024 <= area < 9216 for area in areas)
        assert found["box_sizes"] == {"small": small, "medium": medium, "large": 0}
        assert found["image_width"] == {"min": SIZE, "median": SIZE, "max": SIZE}
        counts = sorted(len(shot.boxes) for shot in everything[split])
        assert found["boxes_per_image"] == {"min": 0, "median": float(np.median(counts)), "max": counts[-1]}
    for split in ("train", "val"):
        for image in image_folder(root, name, split).glob("*.jpg"):
            image.unlink()
    done = harness_command("data", "stats", root, "--json", "--format", name)
    assert done.returncode == 0, done.stderr
    after = json.loads(done.stdout)["splits"]
    for split, found in after.items():
        expected = before[split]
        if name in {"yolo", "openimages"}:  # fractions of unknown sizes
            expected = {**expected, "box_sizes": {"small": 0, "medium": 0, "large": 0, "unknown": expected["boxes"]}}
        if name in {"yolo", "openimages", "csv", "createml", "via", "kitti"}:
            nothing = {"min": None, "median": None, "max": None}
            expected = {**expected, "image_width": nothing, "image_height": nothing}
        assert found == expected


def test_statistics_as_a_table(harness_command: Command, tmp_path: Path) -> None:
    """What a person reads; a suite's datasets one after the other; bad entries are said to be missing in it."""
    root = dataset(tmp_path / "a", "coco", train=8, val=4)
    done = harness_command("data", "stats", root)
    for text in ("images", "without boxes", "small boxes", "triangle", "train", "val", "96 / 96 / 96"):
        assert text in done.stdout
    shot = shots("train", 8)[1]
    write_labels(root, "coco", "train", [shot.but(0, x2=shot.boxes[0][1])])
    done = harness_command("data", "stats", root)
    assert "1 entries are bad and left out" in done.stderr
    done = harness_command("data", "stats", "suites/quickstart.yaml", "--json", cwd=ROOT)
    assert json.loads(done.stdout)["splits"]["train"]["images"] == 200


def test_a_split_that_is_not_there_is_counted(harness_command: Command, tmp_path: Path) -> None:
    """A folder that data.yaml names and that does not exist is not left out of the statistics in silence."""
    root = dataset(tmp_path, "yolo", train=2, val=2)
    (root / "images" / "val").rename(root / "images" / "other")
    done = harness_command("data", "stats", root)
    assert done.returncode == 0
    assert "1 entries are bad and left out; `harness data check` lists them" in done.stderr


def test_the_sheet_shows_boxes_where_they_are(harness_command: Command, tmp_path: Path) -> None:
    """A box's outline is on the picture at its scaled place, in one colour a class; an image that is none says so."""
    root = tmp_path / "set"
    (root / "train").mkdir(parents=True)
    Image.new("RGB", (160, 80), "white").save(root / "train" / "a.png")
    write_labels(root, "csv", "train", [Shot("a.png", (("thing", 20.0, 30.0, 100.0, 70.0),))])
    out = tmp_path / "sheet.png"
    done = harness_command("data", "show", root, "--out", out)
    assert done.returncode == 0, done.stderr
    sheet = np.asarray(Image.open(out).convert("RGB")).astype(int)
    coloured = np.abs(sheet - sheet.mean(axis=2, keepdims=True)).max(axis=2) > 60
    rows, columns = np.flatnonzero(coloured.sum(axis=1) > 100), np.flatnonzero(coloured.sum(axis=0) > 60)
    left, top = 8, 8 + 20  # margin, and the caption above the picture; 160 pixels are drawn as 320
    assert (columns.min() - left, columns.max() - left) == (40, 199)
    assert (rows[rows > top + 30].min() - top, rows.max() - top) == (60, 139)


def test_the_sheet_can_be_of_one_class(harness_command: Command, tmp_path: Path) -> None:
    """`--class` leaves images with such a box; a class that is not there, or has none, is said."""
    root = dataset(tmp_path, "voc", train=8, val=4)
    wanted = sum(any(box[0] == "disc" for box in shot.boxes) for shot in [*shots("train", 8), *shots("val", 4)])
    out = tmp_path / "sheet.png"
    done = harness_command("data", "show", root, "--out", out, "--class", "disc")
    assert f"{out}: {wanted} images" in done.stdout
    picture = Image.open(io.BytesIO(out.read_bytes()))
    assert picture.format == "PNG"
    done = harness_command("data", "show", root, "--out", out, "--class", "disk")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "Error: no class 'disk'; there are disc, square, triangle",
    )
