"""A folder that Ultralytics and this harness read as the same data."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from harness.data.export.tree import write_tree
from harness.data.export.yolo import to_yolo
from harness.data.loaded import LoadedDataset
from harness.errors import DataError
from tests.data.export.conftest import CLASSES, assert_seen, read, write_flat, write_rich
from tests.data.write import dataset


def test_it_is_read_as_the_same_tables(tmp_path: Path) -> None:
    """Names, classes with those without boxes, sizes, order and, to the bit, boxes."""
    before = read(write_rich(tmp_path / "rich", crowds=False), "coco")
    tree = to_yolo(before.splits)
    write_tree(tree, tmp_path / "out", copy_images=True)
    after = read(tmp_path / "out", "auto")
    assert after.format == "yolo"
    assert list(after.splits) == ["train", "val"]
    for split, part in before.splits.items():
        expected, found = part.annotations, after.splits[split].annotations
        renamed = {"a.png": "a_png2.png"}
        names = [renamed.get(name, name) for name in expected.file_names]
        order = np.array(sorted(range(len(names)), key=names.__getitem__))
        expected = expected.select(order)[0]
        assert found.file_names == tuple(sorted(names))
        assert found.class_names == tuple(CLASSES)
        assert (found.sizes == expected.sizes).all()
        assert found.offsets.tolist() == expected.offsets.tolist()
        assert found.labels.tolist() == expected.labels.tolist()
        assert (found.boxes == expected.boxes).all()
        assert len(found.boxes) > 10
    assert tree.notes == ("renamed, since images of one name would share a label file: a.png is a_png2.png",)


def test_crowd_regions_are_left_out_and_counted(rich: LoadedDataset) -> None:
    """YOLO would train on them as objects."""
    tree = to_yolo(rich.splits)
    crowds = sum(int(part.annotations.crowds.sum()) for part in rich.splits.values())
    boxes = sum(len(part.annotations.boxes) for part in rich.splits.values())
    assert f"{crowds} crowd regions left out: YOLO has none" in tree.notes
    lines = sum(content.count(b"\n") for name, content in tree.files.items() if name.endswith(".txt"))
    assert lines == boxes - crowds


def test_files_lie_where_ultralytics_looks(rich: LoadedDataset) -> None:
    """The last folder `images` of an image's path becomes `labels`; an image without boxes has an empty file."""
    files = to_yolo(rich.splits).files
    assert files["labels/train/empty.txt"] == b""
    assert "images/train/cam 1/labels/b.txt" in files
    assert files["data.yaml"].decode().splitlines()[:5] == [
        "train: images/train",
        "val: images/val",
        "names:",
        '  0: "Zebra & co"',
        '  1: "größer <1>"',
    ]
    numbers = [line.split() for line in files["labels/val/a.txt"].decode().splitlines()]
    assert all(len(values) == 5 and all(0 <= float(value) <= 1 for value in values[1:]) for values in numbers)


def test_a_set_without_splits_becomes_train(tmp_path: Path) -> None:
    """Ultralytics' word for it, with a note that it needs `val` too."""
    root = dataset(tmp_path / "set", "coco", train=6, val=2)
    whole = read(root / "annotations" / "train.json", "coco")
    assert list(whole.splits) == ["all"]
    tree = to_yolo(whole.splits)
    write_tree(tree, tmp_path / "out", copy_images=True)
    assert "data.yaml names no val, which Ultralytics needs" in tree.notes
    found = read(tmp_path / "out", "auto")
    assert (found.splits["train"].annotations.boxes == whole.splits["all"].annotations.boxes).all()


def test_a_class_name_that_yaml_cannot_hold_is_told(tmp_path: Path) -> None:
    """A line break would be shown as one in every tool."""
    root = dataset(tmp_path / "set", "coco", train=6, val=2)
    for file in (root / "annotations").iterdir():
        file.write_text(file.read_text().replace('"disc"', '"di\\nsc"'))
    with pytest.raises(DataError, match="1 class name cannot be written in data.yaml: 'di.*nsc'; rename them first"):
        to_yolo(read(root, "coco").splits)


def test_supervision_reads_it(tmp_path: Path, supervision: ModuleType) -> None:
    """As it reads any folder of YOLO."""
    before = write_flat(tmp_path / "set")
    out = tmp_path / "out"
    write_tree(to_yolo(before.splits), out, copy_images=True)
    for split, part in before.splits.items():
        folders = {
            "images_directory_path": str(out / "images" / split),
            "annotations_directory_path": str(out / "labels" / split),
        }
        assert_seen(supervision.DetectionDataset.from_yolo(**folders, data_yaml_path=str(out / "data.yaml")), part)
