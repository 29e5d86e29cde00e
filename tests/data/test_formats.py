"""The same images in every format are the same data, in each layout that people use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data.check import check
from harness.data.formats import FORMATS as READERS
from harness.data.load import load
from harness.suite.schema import FilesDataset, LabelledImages, SplitRule
from tests.conftest import Command
from tests.data.shots import CLASSES, shots, write_images
from tests.data.write import FORMATS, dataset, image_folder, label_file, write_labels


def _plain(path: Path, wanted: str = "auto") -> dict[str, dict[str, list[tuple[str, tuple[float, ...]]]]]:
    loaded = load(FilesDataset(format=wanted, path=path), depth="headers")  # type: ignore[arg-type]
    assert not loaded.findings.problems(), loaded.findings.problems()
    found = {}
    for split, part in loaded.splits.items():
        columns = part.annotations
        found[split] = {
            Path(name).name: [
                (columns.class_names[label], tuple(round(v, 3) for v in box))
                for label, box in zip(
                    columns.labels[columns.rows(row)].tolist(), columns.boxes[columns.rows(row)].tolist(), strict=True
                )
            ]
            for row, name in enumerate(columns.file_names)
        }
    return found


def test_all_formats_give_the_same_tables(tmp_path: Path) -> None:
    """Forty images, two splits: names, sizes, classes and order are equal, boxes within 1e-3 pixel; all are clean."""
    reference = None
    for name in FORMATS:
        path = dataset(tmp_path / name, name)
        checked = check(FilesDataset(format=name, path=path), fast=False, workers=1)  # type: ignore[arg-type]
        assert not checked.problems, "\n".join(map(str, checked.problems))
        loaded = load(FilesDataset(format="auto", path=path), depth="headers")
        assert loaded.format == name
        tables = {split: part.annotations for split, part in loaded.splits.items()}
        reference = reference or tables
        assert list(tables) == ["train", "val"]
        for split, columns in tables.items():
            expected = reference[split]
            assert columns.class_names == expected.class_names == CLASSES
            assert columns.file_names == expected.file_names
            assert columns.labels.tolist() == expected.labels.tolist()
            assert columns.offsets.tolist() == expected.offsets.tolist()
            assert columns.sizes.tolist() == expected.sizes.tolist()
            assert np.abs(columns.boxes - expected.boxes).max() < 1e-3
            assert len(columns.boxes) > 8


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in {"coco", "yolo"} else pytest.mark.slow) for name in FORMATS]
)
def test_a_suite_runs_on_each_format(
    name: str, harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Fine-tune, evaluate and measure; the record says what the trial saw."""
    dataset(tmp_path / "data", name, train=6, val=3)
    suite = tiny_suite(datasets=f"  d: {{format: {name}, path: data}}\n")
    done = harness_command("run", suite, "--results", tmp_path / "results", "--no-preflight")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("results/tiny/trials/*/record.json")
    seen = json.loads(path.read_text())["data"]
    assert seen["splits"]["train"]["images"] == 6
    assert seen["skipped"] == {}


YOLO_LAYOUTS = {
    "images above splits": ("images/{}", "labels/{}", "train: images/train\nval: images/val\n"),
    "splits above images": ("{}/images", "{}/labels", "train: train/images\nval: val/images\n"),
    "as Roboflow writes it": ("{}/images", "{}/labels", "train: ../train/images\nval: ../val/images\n"),
    "a relative root": ("set/images/{}", "set/labels/{}", "path: set\ntrain: images/train\nval: images/val\n"),
    "an absolute root": ("set/images/{}", "set/labels/{}", "path: ROOT/set\ntrain: images/train\nval: images/val\n"),
    "a root of another machine": (
        "images/{}",
        "labels/{}",
        "path: ../datasets/x\ntrain: images/train\nval: images/val\n",
    ),
    "beside the images": ("{}", "{}", "train: train\nval: val\n"),
    "lists": ("images/{}", "labels/{}", "train: train.txt\nval: val.txt\n"),
    "lists with dots": ("images/{}", "labels/{}", "train: lists/train.txt\nval: lists/val.txt\n"),
    "a list of folders": ("images/{}", "labels/{}", "train: [images/train]\nval: [images/val]\n"),
    "valid for val": ("{}/images", "{}/labels", "train: train/images\nvalid: val/images\n"),
}


@pytest.mark.parametrize("layout", YOLO_LAYOUTS)
def test_every_layout_of_yolo(layout: str, tmp_path: Path) -> None:
    """Wherever people put images, labels and data.yaml, the data are the same."""
    images, labels, yaml = YOLO_LAYOUTS[layout]
    reference = _plain(dataset(tmp_path / "reference", "yolo", train=6, val=3))
    root = tmp_path / "here"
    for split, count in (("train", 6), ("val", 3)):
        write_images(root / images.format(split), split, count)
        write_labels(tmp_path / "labels", "yolo", split, shots(split, count))
        shutil.copytree(tmp_path / "labels" / "labels" / split, root / labels.format(split), dirs_exist_ok=True)
        if "lists" in layout:
            dotted = "dots" in layout
            file = root / ("lists" if dotted else ".") / f"{split}.txt"
            file.parent.mkdir(exist_ok=True)
            before = f"./../images/{split}/" if dotted else f"images/{split}/"
            file.write_text("".join(f"{before}{shot.name}\n" for shot in shots(split, count)))
    mapping = "names:\n" + "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
    (root / "data.yaml").write_text(yaml.replace("ROOT", str(root)) + mapping)
    assert _plain(root) == reference
    assert _plain(root / "data.yaml", "yolo") == reference


def test_yolo_without_data_yaml_takes_the_list_of_classes_beside_it(tmp_path: Path) -> None:
    """LabelImg's classes.txt, or the suite's `classes`; without either it says what is missing."""
    root = dataset(tmp_path, "yolo", train=6, val=3)
    (root / "data.yaml").unlink()
    loaded = load(FilesDataset(format="yolo", path=root), depth="headers")
    assert "no list of classes" in str(loaded.findings.problems()[0])
    named = load(FilesDataset(format="yolo", path=root, classes=CLASSES), depth="headers")
    assert {name: len(part.paths) for name, part in named.splits.items()} == {"train": 6, "val": 3}
    (root / "labels" / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    split = LabelledImages(images=root / "images" / "train", annotations=root / "labels" / "train")
    explicit = FilesDataset(format="yolo", train=split, val=split, classes=CLASSES)
    assert len(load(explicit, depth="headers").findings.problems("error")) == 1  # train and val are the same: leakage
    assert _plain(root) == _plain(dataset(tmp_path / "reference", "yolo", train=6, val=3))
    (root / "labels" / "classes.txt").rename(root / "classes.txt")
    assert not load(FilesDataset(format="auto", path=root), depth="headers").findings.problems("error")
    assert not load(
        FilesDataset(format="auto", all=split, split=SplitRule(val=0.3)), depth="headers"
    ).findings.problems("error")


def test_polygons_of_yolo_and_labelme_are_read_as_their_bounds(tmp_path: Path) -> None:
    """Segmentation labels are no reason to fail."""
    root = dataset(tmp_path / "yolo", "yolo", train=2, val=2)
    label_file(root, "yolo", "train", "train000.jpg").write_text("1 0.1 0.2 0.5 0.2 0.5 0.6\n")
    assert _plain(root)["train"]["train000.jpg"] == [("square", (9.6, 19.2, 48.0, 57.6))]
    root = dataset(tmp_path / "labelme", "labelme", train=2, val=2)
    file = label_file(root, "labelme", "train", "train000.jpg")
    content = json.loads(file.read_text())
    content["shapes"] = [
        {"label": "square", "points": [[10, 20], [30, 25], [15, 40]], "shape_type": "polygon"},
        {"label": "triangle", "points": [[50, 50], [50, 60]], "shape_type": "circle"},
    ]
    file.write_text(json.dumps(content))
    assert _plain(root)["train"]["train000.jpg"] == [("square", (10, 20, 30, 40)), ("triangle", (40, 40, 60, 60))]


def test_labelme_images_may_lie_beside_the_labels_folder(tmp_path: Path) -> None:
    """`imagePath: ../images/a.jpg`, and a name alone with the folder given."""
    root = dataset(tmp_path, "labelme", train=4, val=1)
    (root / "labels").mkdir()
    (root / "train").rename(root / "images")
    for file in (root / "images").glob("*.json"):
        (root / "labels" / file.name).write_text(file.read_text().replace('"train', '"../images/train'))
        file.unlink()
    shutil.rmtree(root / "val")
    reference = {shot.name for shot in shots("train", 4)}
    assert set(_plain(root)["all"]) == set(_plain(root / "labels")["all"]) == reference
    for file in (root / "labels").glob("*.json"):
        file.write_text(file.read_text().replace("../images/", ""))
    split = LabelledImages(images=root / "images", annotations=root / "labels")
    loaded = load(FilesDataset(format="labelme", all=split, split=SplitRule(val=0.3)), depth="headers")
    assert not loaded.findings.problems()


def test_csv_with_named_columns_and_other_delimiters(tmp_path: Path) -> None:
    """A header in use is understood, any other is named in the suite; a semicolon and a byte-order mark are fine."""
    root = dataset(tmp_path, "csv", train=6, val=3)
    reference = _plain(root)
    for split in ("train", "val"):
        file = root / split / "labels.csv"
        rows = [line.split(",") for line in file.read_text().splitlines()]
        tensorflow = "filename;width;height;class;xmin;ymin;xmax;ymax\n" + "".join(
            f"{image};96;96;{label};{x1};{y1};{x2};{y2}\n" for image, x1, y1, x2, y2, label in rows
        )
        file.write_text(tensorflow, encoding="utf-8-sig")
    assert _plain(root) == reference
    for split in ("train", "val"):
        file = root / split / "labels.csv"
        file.write_text(file.read_text(encoding="utf-8-sig").replace("filename", "Bild", 1).replace("class", "Art", 1))
    (unknown,) = load(FilesDataset(format="csv", path=root), depth="labels").findings.problems()[:1]
    assert "labels.csv:1: expected rows of image,x1,y1,x2,y2,class, or a header; got Bild" in str(unknown)
    columns = {"image": "Bild", "class": "Art"}  # what is in use is understood beside them
    loaded = load(FilesDataset(format="csv", path=root, columns=columns), depth="headers")  # type: ignore[arg-type]
    assert not loaded.findings.problems()
    wrong = load(FilesDataset(format="csv", path=root, columns={**columns, "x1": "left"}), depth="headers")  # type: ignore[dict-item]
    assert "labels.csv:1: no column left (for x1)" in str(wrong.findings.problems()[0])


def test_voc_layouts_and_difficult_objects(tmp_path: Path) -> None:
    """XML beside the images in folders named after splits; corners count from 1; a difficult object is a crowd."""
    root = dataset(tmp_path / "a", "voc", train=4, val=2)
    reference = _plain(root)
    flat = tmp_path / "b"
    for split, count in (("train", 4), ("valid", 2)):
        (flat / split).mkdir(parents=True)
        for shot in shots("train" if split == "train" else "val", count):
            shutil.copy(root / "JPEGImages" / shot.name, flat / split)
            shutil.copy(label_file(root, "voc", split, shot.name), flat / split)
    assert _plain(flat) == reference
    file = label_file(root, "voc", "train", "train001.jpg")
    text = file.read_text().replace("<difficult>0", "<difficult>1")
    text = text.replace("<filename>train001.jpg", "<filename>train001")  # some tools leave the suffix out
    file.write_text(text)
    columns = load(FilesDataset(format="voc", path=root), depth="headers").splits["train"].annotations
    assert columns.crowds[columns.rows(1)].all()
    assert not columns.crowds[columns.rows(2)].any()


def test_coco_layouts(tmp_path: Path) -> None:
    """COCO's own names, Roboflow's folders, and one file alone find their images."""
    root = dataset(tmp_path / "a", "coco", train=4, val=2)
    reference = _plain(root)
    official = tmp_path / "b"
    roboflow = tmp_path / "c"
    for split, folder in (("train", "train"), ("val", "valid")):
        shutil.copytree(image_folder(root, "coco", split), official / f"{split}2017")
        (official / "annotations").mkdir(exist_ok=True)
        text = label_file(root, "coco", split, "").read_text()
        (official / "annotations" / f"instances_{split}2017.json").write_text(text)
        (official / "annotations" / f"captions_{split}2017.json").write_text(
            '{"images": [], "annotations": [{"image_id": 1}]}'
        )
        shutil.copytree(image_folder(root, "coco", split), roboflow / folder)
        (roboflow / folder / "_annotations.coco.json").write_text(text)
    assert _plain(official) == _plain(roboflow) == reference
    assert _plain(official / "annotations" / "instances_val2017.json") == {"all": reference["val"]}
    explicit = FilesDataset(
        format="coco",
        train=LabelledImages(annotations=roboflow / "train"),
        val=LabelledImages(annotations=roboflow / "valid" / "_annotations.coco.json", images=roboflow / "valid"),
    )
    loaded = load(explicit, depth="headers")
    assert loaded.fingerprint() == load(FilesDataset(format="auto", path=root), depth="headers").fingerprint()


def test_what_nothing_recognises_is_said(tmp_path: Path) -> None:
    """An empty folder, and one of several files for one split, end with a sentence."""
    (problem,) = load(FilesDataset(format="auto", path=tmp_path), depth="labels").findings.problems()
    assert f"none of {', '.join(READERS)} annotations are found there" in str(problem)
    root = dataset(tmp_path / "a", "coco", train=4, val=2)
    shutil.copy(root / "annotations" / "train.json", root / "annotations" / "train_old.json")
    (problem,) = load(FilesDataset(format="auto", path=root), depth="labels").findings.problems()
    assert "several annotation files for train: " in str(problem)
