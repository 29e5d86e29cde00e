"""KITTI labels as people have them: KITTI's own layout, TAO's and other tools', DontCare, lists, what is not KITTI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages, SplitRule
from tests.data.write import dataset

_CAR = "Car 0.00 0 -1.57 10.5 20.25 40.5 60.75 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"
_MISC = "Misc 0.00 0 0.00 1 2 33 44 0.00 0.00 0.00 0.00 0.00 0.00 0.00"
_IGNORED = "DontCare -1 -1 -10 50.0 10.0 90.0 30.0 -1 -1 -1 -1000 -1000 -1000 -10"


def _write(root: Path, images: str, labels: str, files: dict[str, str]) -> None:
    """Write one label file and one image for each name and text."""
    for number, (name, text) in enumerate(files.items()):
        image, label = root / images / f"{name}.png", root / labels / f"{name}.txt"
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80), (number, len(images), sum(images.encode()) % 256)).save(image)
        label.write_text(text)


def _load(path: Path, **suite: object) -> LoadedDataset:
    return load(FilesDataset(**{"format": "auto", "path": path, **suite}), depth="headers")  # type: ignore[arg-type]


def _boxes(loaded: LoadedDataset, split: str) -> list[tuple[str, str, list[float], bool]]:
    columns = loaded.splits[split].annotations
    return [
        (
            columns.file_names[row],
            columns.class_names[columns.labels[box]],
            columns.boxes[box].tolist(),
            bool(columns.crowds[box]),
        )
        for row in range(len(columns))
        for box in range(*columns.rows(row).indices(len(columns.boxes)))
    ]


def _found(loaded: LoadedDataset) -> list[tuple[str, str]]:
    return [(problem.code, str(place)) for problem in loaded.findings.problems() for place in problem.places]


@pytest.mark.parametrize(
    ("images", "labels", "split"),
    [
        ("training/image_2", "training/label_2", "train"),
        ("image_2", "label_2", "all"),
        ("images", "labels", "all"),
        ("data", "labels", "all"),
        ("train/images", "train/labels", "train"),
        ("images/val", "labels/val", "val"),
        ("val/image_2", "val/label_2", "val"),
        (".", ".", "all"),
        ("train", "train", "train"),
    ],
)
def test_every_layout(images: str, labels: str, split: str, tmp_path: Path) -> None:
    """KITTI's own, TAO's, FiftyOne's, CVAT's; an empty file is an image without an object; calibration is no label."""
    _write(tmp_path, images, labels, {"000000": "", "000001": f"{_CAR}\n{_MISC}\n"})
    if labels.startswith("training"):
        calibration = tmp_path / "training" / "calib" / "000000.txt"
        calibration.parent.mkdir()
        calibration.write_text("P0: 7.215377e+02 0.000000e+00 6.095593e+02 0.000000e+00 0.000000e+00\n")
    loaded = _load(tmp_path)
    assert loaded.format == "kitti"
    assert not _found(loaded)
    assert list(loaded.splits) == [split]
    assert loaded.splits[split].annotations.file_names == ("000000.png", "000001.png")
    assert _boxes(loaded, split) == [
        ("000001.png", "Car", [10.5, 20.25, 40.5, 60.75], False),
        ("000001.png", "Misc", [1, 2, 33, 44], False),
    ]
    assert _boxes(_load(tmp_path / labels), "all") == _boxes(loaded, split)
    assert _boxes(_load(tmp_path / labels / "000001.txt"), "all") == _boxes(loaded, split)


def test_nothing_is_judged_where_nobody_labelled(tmp_path: Path) -> None:
    """DontCare is a crowd region of every class of its split, and no class; unless the suite lists it as one."""
    _write(tmp_path, "images", "labels", {"a": f"{_CAR}\n{_IGNORED}\n", "b": f"{_MISC}\n", "c": f"{_IGNORED}\n"})
    loaded = _load(tmp_path)
    assert loaded.splits["all"].annotations.class_names == ("Car", "Misc")
    region = [50, 10, 90, 30]
    assert _boxes(loaded, "all") == [
        ("a.png", "Car", [10.5, 20.25, 40.5, 60.75], False),
        ("a.png", "Car", region, True),
        ("a.png", "Misc", region, True),
        ("b.png", "Misc", [1, 2, 33, 44], False),
        ("c.png", "Car", region, True),
        ("c.png", "Misc", region, True),
    ]
    assert not _found(loaded)
    listed = _load(tmp_path, classes=("Car", "Misc", "DontCare"))
    assert _boxes(listed, "all")[1] == ("a.png", "DontCare", region, False)
    assert len(_boxes(listed, "all")) == 4


def test_the_lists_of_image_sets_are_the_splits(tmp_path: Path) -> None:
    """Train and val; KITTI's `test` lists images of `testing`, which have no labels; what is listed must be there."""
    _write(tmp_path, "training/image_2", "training/label_2", {f"00000{number}": _CAR for number in range(4)})
    (tmp_path / "testing" / "image_2").mkdir(parents=True)
    Image.new("RGB", (100, 80)).save(tmp_path / "testing" / "image_2" / "000000.png")
    sets = tmp_path / "ImageSets"
    sets.mkdir()
    (sets / "train.txt").write_text("000000\n000002\n\n")
    (sets / "val.txt").write_text("000003.png\n000009\n../000010\n")
    (sets / "test.txt").write_text("000000\n")
    loaded = _load(tmp_path)
    assert {split: part.annotations.file_names for split, part in loaded.splits.items()} == {
        "train": ("000000.png", "000002.png"),
        "val": ("000003.png",),
    }
    missing, escape = _found(loaded)
    assert missing[0] == "unreadable_annotation"
    assert f"{sets / 'val.txt'}:2: image 000009: 000009 is listed, but there is no " in missing[1]
    assert escape == ("path_escapes_root", f"{sets / 'val.txt'}:3: image ../000010")


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (f"{_CAR} 0.93", "Car"),
        (_CAR.replace("Car", "traffic light"), "traffic light"),
        (_CAR.replace(" ", "\t"), "Car"),
        ("person 0 0 0 10.5 20.25 40.5 60.75 0 0 0 0 0 0 0", "person"),
        ("Van -1 -1 -10 10.5 20.25 40.5 60.75 -1 -1 -1 -1000 -1000 -1000 -10", "Van"),
    ],
)
def test_lines_as_tools_write_them(line: str, label: str, tmp_path: Path) -> None:
    """With a score, a type of two words, tabs, zeros or −1 in place of what is not known."""
    _write(tmp_path, "images", "labels", {"a": line})
    loaded = _load(tmp_path)
    assert _boxes(loaded, "all") == [("a.png", label, [10.5, 20.25, 40.5, 60.75], False)]
    assert not _found(loaded)


def test_broken_lines_have_their_place(tmp_path: Path) -> None:
    """Too few values, a word for a number, nan; the other lines are read."""
    lines = [_CAR, "Car 0.00 0 -1.57 10 20", _CAR.replace("40.5", "x"), "", _CAR.replace("40.5", "nan")]
    _write(tmp_path, "images", "labels", {"a": "\n".join(lines)})
    loaded = _load(tmp_path)
    assert len(_boxes(loaded, "all")) == 1
    file = tmp_path / "labels" / "a.txt"
    expected = "expected 15 (type truncated occluded alpha x1 y1 x2 y2 …)"
    first, second, third = _found(loaded)
    assert first == ("unreadable_annotation", f"{file}:2: image a.png: 6 values, {expected}: Car 0.00 0 -1.57 10 20")
    assert second == ("unreadable_annotation", f"{file}:3: image a.png: 15 values, {expected}: {lines[2]}")
    assert third == ("not_a_number", f"{file}:5: image a.png: [10.5, 20.25, nan, 60.75]")


def test_images_and_labels_without_each_other(tmp_path: Path) -> None:
    """An image without a label file is told and left out; a label file needs its image, and only one."""
    _write(tmp_path, "images", "labels", {"a": _CAR, "b": _CAR, "c": _CAR, "d": _CAR})
    (tmp_path / "labels" / "b.txt").unlink()
    (tmp_path / "images" / "c.png").unlink()
    Image.new("RGB", (100, 80)).save(tmp_path / "images" / "d.jpg")
    loaded = _load(tmp_path)
    assert loaded.splits["all"].annotations.file_names == ("a.png",)
    missing, duplicate, left_out = _found(loaded)
    labels = tmp_path / "labels"
    assert missing[0] == "missing_image"
    assert missing[1].startswith(f"{labels / 'c.txt'}: image c: no such image")
    assert duplicate == (
        "duplicate_image_id",
        f"{labels / 'd.txt'}: image d.png: d.jpg has the same labels; give each image a name of its own",
    )
    detail = "an image without a label file; one that shows no object has an empty file"
    assert left_out == ("left_out", f"{tmp_path / 'images' / 'b.png'}: {detail}")


def test_images_elsewhere(tmp_path: Path) -> None:
    """The suite names the folder of the images, for a path and for a split."""
    _write(tmp_path, "pictures/left", "truth", {"a": _CAR, "b": _CAR})
    loaded = _load(tmp_path / "truth", images=tmp_path / "pictures" / "left")
    assert loaded.splits["all"].annotations.file_names == ("a.png", "b.png")
    whole = LabelledImages(annotations=tmp_path / "truth", images=tmp_path / "pictures" / "left")
    divided = load(FilesDataset(format="auto", all=whole, split=SplitRule(val=0.5)), depth="headers")
    assert divided.format == "kitti"
    assert sum(len(part.annotations) for part in divided.splits.values()) == 2


def test_several_folders_of_labels_for_one_split(tmp_path: Path) -> None:
    """Nobody knows which one is meant."""
    _write(tmp_path, "image_2", "label_2", {"a": _CAR})
    _write(tmp_path, "image_3", "label_3", {"a": _CAR})
    ((code, place),) = _found(_load(tmp_path))
    assert code == "unreadable_annotation"
    assert "several folders of labels for all: label_2, label_3; name one of them" in place


def test_text_labels_of_others_are_none_of_kitti(tmp_path: Path) -> None:
    """YOLO's lines begin with a number, also a polygon of as many numbers as KITTI has values."""
    _write(tmp_path, "images", "labels", {"a": "0 0.5 0.5 0.2 0.2\n", "b": "0 " + "0.1 0.2 0.5 0.6 " * 3 + "0.3 0.4\n"})
    (tmp_path / "labels" / "classes.txt").write_text("bolt\n")
    assert _load(tmp_path).format == "yolo"
    assert "no kitti annotations are found there" in _found(_load(tmp_path, format="kitti"))[0][1]
    file = tmp_path / "labels" / "a.txt"
    assert "a.txt:1: image a: 5 values, expected 15" in _found(_load(file, format="kitti"))[0][1]
    for name in ("a.txt", "b.txt"):
        (tmp_path / "labels" / name).write_text(_CAR)
    assert _load(tmp_path).format == "kitti"
    assert not _load(tmp_path).findings.problems("error")  # a list of classes beside the labels is no label file
    (tmp_path / "labels" / "classes.txt").unlink()
    assert "this is kitti, and not yolo" in _found(_load(tmp_path, format="yolo"))[0][1]


def test_converted_images_and_labels_with_the_suffix_of_their_image(tmp_path: Path) -> None:
    """Of an image and its original, which cannot be read, the image is used; `c.png.txt` is the label file of c.png."""
    _write(tmp_path, "images", "labels", {"b": _MISC, "c": _MISC})
    (tmp_path / "images" / "b.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "labels" / "c.txt").rename(tmp_path / "labels" / "c.png.txt")
    loaded = _load(tmp_path)
    assert not _found(loaded)
    assert _boxes(loaded, "all") == [(name, "Misc", [1, 2, 33, 44], False) for name in ("b.png", "c.png")]


def test_labels_of_no_split_beside_those_of_splits(tmp_path: Path) -> None:
    """They are told by their folder, and make no split called `all` that an export would mix with train."""
    root = dataset(tmp_path, "kitti", train=3, val=2)
    shutil.copytree(root / "train", root / "default")
    loaded = load(FilesDataset(format="auto", path=root), depth="headers")
    assert list(loaded.splits) == ["train", "val"]
    (problem,) = loaded.findings.problems()
    assert (problem.code, Path(problem.places[0].file)) == ("unused_labels", root / "default" / "labels")
