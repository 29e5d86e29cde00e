"""YOLO's labels and images are paired where they lie in folders of other names, or anywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages
from tests.data.shots import CLASSES
from tests.data.write import dataset


def _load(path: Path, images: Path | None = None) -> LoadedDataset:
    return load(FilesDataset(format="auto", path=path, images=images), depth="headers")


def _rearranged(tmp_path: Path, labels: str, images: str) -> tuple[Path, str]:
    usual, root = dataset(tmp_path / "usual", "yolo", train=5, val=3), tmp_path / "set"
    for split in ("train", "val"):
        shutil.copytree(usual / "labels" / split, root / labels.format(split), dirs_exist_ok=True)
        shutil.copytree(usual / "images" / split, root / images.format(split), dirs_exist_ok=True)
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root, _load(usual).fingerprint()


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ("annotations/{}", "images/{}"),
        ("labels/{}", "data/{}"),
        ("Labels/{}", "Images/{}"),
        ("annotations/{}", "img/{}"),
    ],
)
def test_labels_and_images_in_folders_of_other_names(labels: str, images: str, tmp_path: Path) -> None:
    """Each image has its boxes, as in the usual `images` and `labels`; images without labels are backgrounds."""
    root, usual = _rearranged(tmp_path, labels, images)
    loaded = _load(root)
    assert not loaded.findings.problems()
    assert loaded.fingerprint() == usual


def test_labels_and_images_that_are_not_divided(tmp_path: Path) -> None:
    """One folder each, with the list of classes beside the labels, as LabelImg writes it."""
    root, _ = _rearranged(tmp_path, "annotations", "data")
    (root / "classes.txt").rename(root / "annotations" / "classes.txt")
    loaded = _load(root)
    assert not loaded.findings.problems()
    assert len(loaded.splits["all"].annotations) == 8
    assert len(loaded.splits["all"].annotations.boxes) == sum(
        len(part.annotations.boxes) for part in _load(tmp_path / "usual").splits.values()
    )


@pytest.mark.parametrize("images", ["{}", "images/{}", "{}/images", "."])
@pytest.mark.parametrize("labels", ["labels/{}", "{}", "{}/labels"])
def test_images_that_are_named_lie_anywhere(labels: str, images: str, tmp_path: Path) -> None:
    """The folder that `images:` names has all images, or a folder for each split, with classes.txt or a data.yaml."""
    root, usual = _rearranged(tmp_path, labels, f"../elsewhere/{images}")
    for path in (root, root / "data.yaml"):
        if path.suffix:
            shutil.copy(tmp_path / "usual" / "data.yaml", path)
        loaded = _load(path, tmp_path / "elsewhere")
        codes = {problem.code for problem in loaded.findings.problems()}
        if images == ".":  # each split sees the images of the other as backgrounds
            assert codes <= {"leakage", "no_label_file"}
            continue
        assert not codes
        assert loaded.fingerprint() == usual


def test_where_images_cannot_be_named(tmp_path: Path) -> None:
    """Lists of images say themselves where images are; splits need folders of labels."""
    root = dataset(tmp_path / "set", "yolo", train=4, val=2)
    text = (root / "data.yaml").read_text()
    (root / "train.txt").write_text("images/train/train001.jpg\n")
    (root / "data.yaml").write_text(text.replace("images/train", "train.txt"))
    (problem,) = _load(root, root / "images").findings.problems()
    assert "train.txt: a list of images says itself where they lie" in str(problem)
    (root / "data.yaml").write_text(text)
    (root / "labels" / "train").rename(root / "labels" / "first")
    (problem,) = _load(root, root / "images").findings.problems()
    assert "no folder of labels for train; in a suite, name annotations and images of each split" in str(problem)
    train, val = (
        LabelledImages(annotations=root / "labels" / folder, images=root / "images" / split)
        for folder, split in (("first", "train"), ("val", "val"))
    )
    assert not load(FilesDataset(format="yolo", train=train, val=val), depth="headers").findings.problems()
