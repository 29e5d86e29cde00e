"""Darknet's obj.data and its lists give the images and boxes of the same set with a data.yaml."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages, SplitRule
from tests.data.shots import CLASSES, shots
from tests.data.write import dataset

Boxes = dict[str, dict[str, list[tuple[str, list[float]]]]]

NAMES = {split: [shot.name for shot in shots(split, count)] for split, count in (("train", 4), ("val", 3))}


def _load(path: Path, name: str = "auto") -> LoadedDataset:
    return load(FilesDataset(format=name, path=path), depth="headers")  # type: ignore[arg-type]


def _boxes(loaded: LoadedDataset) -> Boxes:
    """For each split and image, its classes and boxes."""
    found: Boxes = {}
    for split, part in loaded.splits.items():
        columns = part.annotations
        found[split] = {
            Path(name).name: [
                (columns.class_names[label], box)
                for label, box in zip(
                    columns.labels[columns.rows(row)].tolist(), columns.boxes[columns.rows(row)].tolist(), strict=True
                )
            ]
            for row, name in enumerate(columns.file_names)
        }
    return found


def _written(tmp_path: Path) -> tuple[Path, Boxes]:
    """A set of YOLO to copy from, and what is in it."""
    written = dataset(tmp_path / "written", "yolo", train=4, val=3)
    return written, _boxes(_load(written))


def _copy(written: Path, split: str, images: Path, labels: Path | None = None) -> None:
    shutil.copytree(written / "images" / split, images, dirs_exist_ok=True)
    shutil.copytree(written / "labels" / split, labels or images, dirs_exist_ok=True)


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def _list(start: str, split: str) -> str:
    return "".join(f"{start}{name}\n" for name in NAMES[split])


CLASS_LIST = "\n".join(CLASSES) + "\n"
DARKNET = "classes= 3\ntrain  = data/train.txt\nvalid = data/test.txt\nnames = data/obj.names\nbackup = backup/\n"
# Files beside the images, which lie in the two folders: Darknet's own layout, with obj.data above and beside the
# lists; its list of absolute paths; CVAT's YOLO 1.1 with and without `data/`; Darknet's script for Pascal VOC.
LAYOUTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "Darknet's": (
        "data/obj",
        "data/obj",
        {
            "data/obj.data": DARKNET,
            "data/train.txt": _list("data/obj/", "train"),
            "data/test.txt": _list("data/obj/", "val"),
            "data/obj.names": CLASS_LIST,
        },
    ),
    "its folder data alone": (
        "obj",
        "obj",
        {
            "obj.data": DARKNET,
            "train.txt": _list("data/obj/", "train"),
            "test.txt": _list("data/obj/", "val"),
            "obj.names": CLASS_LIST,
        },
    ),
    "of another machine": (
        "images/train",
        "images/val",
        {
            "cfg/ships.data": "# set\nclasses=3\ntrain=/home/me/train.txt\nvalid=C:\\ds\\valid.txt\nnames=x/ds.names",
            "train.txt": _list("/home/me/ds/images/train/", "train"),
            "valid.txt": _list("C:\\ds\\images\\val\\", "val"),
            "ds.names": CLASS_LIST.replace("\n", "\r\n"),
        },
    ),
    "CVAT's": (
        "obj_train_data",
        "obj_valid_data",
        {
            "obj.data": DARKNET.replace("test.txt", "valid.txt"),
            "train.txt": _list("data/obj_train_data/", "train"),
            "valid.txt": _list("data/obj_valid_data/", "val"),
            "obj.names": CLASS_LIST,
        },
    ),
    "CVAT's of today": (
        "obj_train_data",
        "obj_valid_data",
        {
            "obj.data": DARKNET.replace("test.txt", "valid.txt").replace("data/", ""),
            "train.txt": _list("obj_train_data/", "train"),
            "valid.txt": _list("obj_valid_data/", "val"),
            "obj.names": CLASS_LIST,
        },
    ),
    "lists alone": (
        "images/train",
        "images/val",
        {
            "train.txt": _list("images/train/", "train"),
            "val.txt": _list("./images/val/", "val"),
            "classes.txt": CLASS_LIST,
        },
    ),
    "lists in data": (
        "data/obj",
        "data/obj",
        {
            "data/train.txt": _list("data/obj/", "train"),
            "data/valid.txt": _list("obj/", "val"),
            "data/coco.names": CLASS_LIST,
        },
    ),
    "Pascal VOC's folders": (
        "JPEGImages",
        "JPEGImages",
        {
            "train.txt": _list("/data/VOCdevkit/VOC2007/JPEGImages/", "train"),
            "valid.txt": _list("JPEGImages/", "val"),
            "voc.names": CLASS_LIST,
        },
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_darknet(layout: str, tmp_path: Path) -> None:
    """The same splits, classes, images and boxes as with a data.yaml, found in the folder and by the data file."""
    written, expected = _written(tmp_path)
    train, val, files = LAYOUTS[layout]
    root = tmp_path / "set"
    for split, folder in (("train", train), ("val", val)):
        labels = folder.replace("JPEGImages", "labels").replace("images", "labels")
        _copy(written, split, root / folder, root / labels)
    _write(root, files)
    paths = [root, *(root / name for name in files if name.endswith(".data"))]
    for path in paths:
        for name in ("auto", "yolo"):
            loaded = _load(path, name)
            assert not loaded.findings.problems()
            assert loaded.format == "yolo"
            assert _boxes(loaded) == expected
    assert {_load(path).fingerprint() for path in paths} == {_load(root).fingerprint()}


def test_lists_in_one_folder_name_its_images_as_the_folder_does(tmp_path: Path) -> None:
    """CVAT's export keeps the fingerprint that it had before lists were read."""
    written, _ = _written(tmp_path)
    root = tmp_path / "set"
    _copy(written, "train", root / "obj_train_data")
    _write(root, {"obj.names": CLASS_LIST, "train.txt": _list("data/obj_train_data/", "train")})
    (root / "obj.data").write_text("train = data/train.txt\nnames = data/obj.names\n")
    loaded = _load(root)
    assert loaded.splits["train"].annotations.file_names == tuple(NAMES["train"])
    for name in ("obj.data", "train.txt"):
        (root / name).unlink()
    assert loaded.fingerprint() == _load(root).fingerprint()


def test_a_list_called_test_is_val_where_there_is_no_other(tmp_path: Path) -> None:
    """Without an obj.data that says so it is told; beside a list for val it is test."""
    written, expected = _written(tmp_path)
    root = tmp_path / "set"
    for split in ("train", "val"):
        _copy(written, split, root / "obj")
    _write(root, {"obj.names": CLASS_LIST, "train.txt": _list("obj/", "train"), "test.txt": _list("obj/", "val")})
    loaded = _load(root)
    assert _boxes(loaded) == expected
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.places[0].file) == ("test_read_as_val", str(root / "test.txt"))
    _write(root, {"valid.txt": f"obj/{NAMES['val'][0]}\n", "test.txt": "".join(f"obj/{n}\n" for n in NAMES["val"][1:])})
    assert [(name, len(part.paths)) for name, part in _load(root).splits.items()] == [
        ("train", 4),
        ("val", 1),
        ("test", 2),
    ]


def test_a_list_may_be_named_itself(tmp_path: Path) -> None:
    """As PATH, with a rule to divide it, or as the labels of a split."""
    written, expected = _written(tmp_path)
    root = tmp_path / "set"
    for split in ("train", "val"):
        _copy(written, split, root / "obj")
    _write(root, {"obj.names": CLASS_LIST, "all.txt": _list("obj/", "train"), "holdout.txt": _list("data/obj/", "val")})
    assert _boxes(_load(root / "all.txt")) == {"all": expected["train"]}
    train, val = (LabelledImages(annotations=root / name) for name in ("all.txt", "holdout.txt"))
    for name in ("auto", "yolo"):
        loaded = load(FilesDataset(format=name, train=train, val=val), depth="headers")
        assert not loaded.findings.problems()
        assert _boxes(loaded) == expected
    divided = load(FilesDataset(format="auto", path=root / "all.txt", split=SplitRule(val=0.3)), depth="headers")
    assert sum(len(part.paths) for part in divided.splits.values()) == 4
    told = LabelledImages(annotations=root / "all.txt", images=written / "images")
    (problem,) = load(FilesDataset(format="yolo", train=told, val=val), depth="headers").findings.problems()
    assert "a list of images says itself where they lie" in str(problem)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "data/test.txt",
            "data/gone.txt",
            "obj.data:3: valid: the list ROOT/data/gone.txt does not exist; lists in ROOT: test.txt",
        ),
        ("data/test.txt", "/x/gone.txt", "obj.data:3: valid: the list /x/gone.txt does not exist, nor an end of it in"),
        (
            "data/obj.names",
            "x.names",
            "obj.data:4: names: the list x.names does not exist, nor an end of it in ROOT; obj.names",
        ),
        ("classes= 3", "classes= 4", "obj.data:1: classes is 4, but there are 3 names"),
        ("train  = data/train.txt\nvalid = data/test.txt\n", "train =\n", "obj.data: names neither train nor valid"),
        ("data/test.txt", "../outside.txt", "obj.data:3: valid = ../outside.txt leaves ROOT; copy the list into it"),
    ],
)
def test_what_obj_data_gets_wrong_is_told(old: str, new: str, said: str, tmp_path: Path) -> None:
    """With its line."""
    written, _ = _written(tmp_path)
    root = tmp_path / "set"
    for split in ("train", "val"):
        _copy(written, split, root / "obj")
    _write(tmp_path, {"outside.txt": ""})
    _write(root, {"obj.names": CLASS_LIST, "train.txt": _list("obj/", "train"), "test.txt": _list("obj/", "val")})
    (root / "obj.data").write_text(DARKNET.replace(old, new))
    (problem,) = _load(root).findings.problems()
    assert said.replace("ROOT", str(root)) in str(problem)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("disc\n\ntriangle\n", "obj.names:2: names: expected distinct names, none empty"),
        ("disc\ndisc\ntriangle\n", "obj.names: names: expected distinct names"),
        ("", "obj.names:1: names: expected distinct names"),
    ],
)
def test_a_list_of_classes_numbers_them_without_gaps(names: str, said: str, tmp_path: Path) -> None:
    """A line that is left out would give every class behind it another name."""
    written, _ = _written(tmp_path)
    (written / "data.yaml").unlink()
    (written / "obj.names").write_text(names)
    assert said in str(_load(written, "yolo").findings.problems()[0])


def test_several_data_files_are_told(tmp_path: Path) -> None:
    """Darknet's own cfg has many; obj.data is the one of a set."""
    written, _ = _written(tmp_path)
    (written / "data.yaml").unlink()
    _write(written, {"cfg/a.data": DARKNET, "cfg/b.data": DARKNET, "obj.names": CLASS_LIST})
    assert "cfg/a.data, cfg/b.data; name one of them" in str(_load(written).findings.problems()[0])


@pytest.mark.parametrize("name", ["voc", "coco", "csv", "labelme"])
def test_lists_beside_other_formats_are_not_darknets(name: str, tmp_path: Path) -> None:
    """A train.txt of image paths means nothing where the labels are XML, JSON or CSV."""
    root = dataset(tmp_path, name, train=4, val=3)
    images = {"voc": "JPEGImages/", "coco": "images/train/"}.get(name, "train/")
    _write(root, {"train.txt": _list(images, "train"), "labels.txt": CLASS_LIST})
    assert _load(root).format == name


def test_fiftyones_list_of_images_is_no_label_file(tmp_path: Path) -> None:
    """Its export for YOLOv4 has `data/`, `obj.names` and `images.txt`."""
    written, boxes = _written(tmp_path)
    root = tmp_path / "export"
    _copy(written, "train", root / "data", root / "data")
    names = "".join(f"{name}\n" for name in CLASSES)
    _write(root, {"obj.names": names, "images.txt": _list("data/", "train")})
    loaded = _load(root)
    assert not loaded.findings.problems()
    assert {name: len(part.annotations.boxes) for name, part in loaded.splits.items()} == {
        "all": sum(map(len, boxes["train"].values()))
    }
