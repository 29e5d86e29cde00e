"""One JSON file that pycocotools, supervision and this harness read as the same data."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image
from pycocotools.coco import COCO

from harness.data.export.coco import to_coco
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, SplitRule
from tests.data.export.conftest import CLASSES, assert_seen, read, write_flat


def test_pycocotools_reads_it(rich: LoadedDataset, tmp_path: Path) -> None:
    """Images of all splits, classes, crowds, areas and boxes."""
    file = tmp_path / "all.json"
    file.write_bytes(to_coco(rich.splits, {"train": "train", "val": "val"}))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == CLASSES
    for split, part in rich.splits.items():
        columns = part.annotations
        for row, name in enumerate(columns.file_names):
            (image,) = (entry for entry in coco.imgs.values() if entry["file_name"] == f"{split}/{name}")
            assert [image["width"], image["height"]] == columns.sizes[row].tolist()
            found = coco.loadAnns(coco.getAnnIds(image["id"]))
            rows = columns.rows(row)
            boxes = np.array([annotation["bbox"] for annotation in found]).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            assert (boxes.astype(np.float32) == columns.boxes[rows]).all()
            assert [annotation["category_id"] - 1 for annotation in found] == columns.labels[rows].tolist()
            assert [annotation["iscrowd"] for annotation in found] == columns.crowds[rows].tolist()
            assert [annotation["area"] for annotation in found] == columns.areas[rows].tolist()


def test_supervision_reads_it(tmp_path: Path, supervision: ModuleType) -> None:
    """From the folder that the names are relative to."""
    before = write_flat(tmp_path / "set")
    for split, part in before.splits.items():
        file = tmp_path / f"{split}.json"
        file.write_bytes(to_coco({split: part}, {split: "."}))
        assert_seen(supervision.DetectionDataset.from_coco(str(part.folder), str(file)), part)


def test_images_have_the_names_of_their_files(tmp_path: Path) -> None:
    """Not those in the labels, which may lack the suffix or be in another letter case."""
    Image.new("RGB", (40, 30)).save(tmp_path / "A.jpg")
    (tmp_path / "A.xml").write_text(
        "<annotation><filename>a</filename><object><name>bolt</name><bndbox><xmin>3</xmin><ymin>4</ymin>"
        "<xmax>20</xmax><ymax>10</ymax></bndbox></object></annotation>"
    )
    (part,) = load(FilesDataset(format="voc", path=tmp_path), depth="headers").splits.values()
    assert json.loads(to_coco({"all": part}, {"all": "."}))["images"][0]["file_name"] == "A.jpg"


def test_it_is_read_as_the_same_splits(rich: LoadedDataset, tmp_path: Path) -> None:
    """One file with the `split` of each image gives the same splits, and the same tables but for the longer names."""
    file = tmp_path / "rich" / "all.json"
    file.write_bytes(to_coco(rich.splits, {"train": "train", "val": "val"}))
    after = read(file, "auto")
    assert list(after.splits) == ["train", "val"]
    for split, part in rich.splits.items():
        expected, found = part.annotations, after.splits[split].annotations
        assert found.file_names == tuple(f"{split}/{name}" for name in expected.file_names)
        assert found.class_names == expected.class_names
        for column in ("sizes", "offsets", "boxes", "labels", "crowds", "areas"):
            assert (getattr(found, column) == getattr(expected, column)).all()
    again = load(FilesDataset(format="auto", path=file, split=SplitRule(val=0.5)), depth="labels")
    assert any(name.startswith("train/") for name in again.splits["val"].annotations.file_names)  # the suite's own rule


def test_a_split_that_not_all_images_have(rich: LoadedDataset, tmp_path: Path) -> None:
    """Words that are no split, and images without one, leave the file whole; one split alone is that split."""
    file = tmp_path / "rich" / "all.json"
    content = json.loads(to_coco(rich.splits, {"train": "train", "val": "val"}))
    for words, splits in ((["train", "rest"], ["all"]), (["train", None], ["all"]), (["val"], ["val"])):
        for row, image in enumerate(content["images"]):
            image["split"] = words[row % len(words)]
        file.write_text(json.dumps(content))
        assert list(load(FilesDataset(format="auto", path=file), depth="labels").splits) == splits
