"""A folder of Pascal VOC that is read as the same data."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np

from harness.data.export.tree import write_tree
from harness.data.export.voc import to_voc
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset
from tests.data.export.conftest import CLASSES, assert_seen, read
from tests.data.write import dataset


def test_it_is_read_as_the_same_tables(rich: LoadedDataset, tmp_path: Path) -> None:
    """Names below their split, where two splits have the same; crowds as difficult; boxes to the bit."""
    tree = to_voc(rich.splits)
    write_tree(tree, tmp_path / "out", copy_images=True)
    after = load(FilesDataset(format="auto", path=tmp_path / "out", classes=tuple(CLASSES)), depth="headers")
    assert not after.findings.problems("error")
    assert after.format == "voc"
    for split, part in rich.splits.items():
        expected, found = part.annotations, after.splits[split].annotations
        names = [f"{split}/{name}".replace("/a.png", "/a_png2.png") for name in expected.file_names]
        expected = expected.select(np.array(sorted(range(len(names)), key=names.__getitem__)))[0]
        assert found.file_names == tuple(sorted(names))
        assert (found.sizes == expected.sizes).all()
        assert found.offsets.tolist() == expected.offsets.tolist()
        assert found.labels.tolist() == expected.labels.tolist()
        assert found.crowds.tolist() == expected.crowds.tolist()
        assert (found.boxes == expected.boxes).all()
    assert tree.notes[0].endswith("share a label file: train/a.png is train/a_png2.png")
    assert tree.notes[1].startswith("VOC has no list of classes: give classes: [Zebra & co, ")


def test_names_of_their_own_stay(tmp_path: Path) -> None:
    """One flat folder, whole pixels as whole numbers from 1, and no note where the classes read the same."""
    root = dataset(tmp_path / "set", "coco", train=6, val=2)
    for file in (root / "annotations").iterdir():
        content = json.loads(file.read_text())
        for annotation in content["annotations"]:
            annotation["bbox"] = [10, 20, 30, 40]
        file.write_text(json.dumps(content))
    tree = to_voc(read(root, "coco").splits)
    assert tree.notes == ()
    assert tree.files["ImageSets/Main/val.txt"] == b"val000\nval001\n"
    text = tree.files["Annotations/train001.xml"].decode()
    assert "<xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax>" in text
    assert "<filename>train001.jpg</filename>" in text
    assert "<difficult>0</difficult>" in text


def test_boxes_of_one_pixel_are_left_out_and_counted(tmp_path: Path) -> None:
    """Their corners would be equal, which every reader takes for an empty box."""
    root = dataset(tmp_path / "set", "coco", train=6, val=2)
    file = root / "annotations" / "train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [10, 20, 1, 40]
    file.write_text(json.dumps(content))
    before = read(root, "coco").splits
    tree = to_voc(before)
    assert tree.notes[0] == "1 box of at most a pixel's width or height left out: train001.jpg"
    written = b"".join(tree.files.values()).count(b"<object>")
    assert written == sum(len(part.annotations.boxes) for part in before.values()) - 1


def test_a_set_without_splits_stays_one(tmp_path: Path) -> None:
    """Without ImageSets, as labelling tools write it."""
    root = dataset(tmp_path / "set", "coco", train=6, val=2)
    whole = read(root / "annotations" / "train.json", "coco")
    write_tree(to_voc(whole.splits), tmp_path / "out", copy_images=True)
    found = read(tmp_path / "out", "auto")
    assert list(found.splits) == ["all"]
    assert found.fingerprint() == whole.fingerprint()


def test_supervision_reads_it(tmp_path: Path, supervision: ModuleType) -> None:
    """It takes corners from 1 too."""
    whole = read(dataset(tmp_path / "set", "coco", train=8, val=2) / "annotations" / "train.json", "coco")
    out = tmp_path / "out"
    write_tree(to_voc(whole.splits), out, copy_images=True)
    folders = {
        "images_directory_path": str(out / "JPEGImages"),
        "annotations_directory_path": str(out / "Annotations"),
    }
    assert_seen(supervision.DetectionDataset.from_pascal_voc(**folders), whole.splits["all"])
