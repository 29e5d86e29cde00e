"""The folder of the images is found where popular tools put it, in every format, and never guessed between two."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages
from tests.data.shots import shots
from tests.data.write import dataset, image_folder, label_file

FORMATS = ("coco", "voc", "csv", "labelme", "createml", "cvat", "via", "labelstudio")
_COUNTS = {"train": 5, "val": 3}


def _load(path: Path, images: Path | None = None) -> LoadedDataset:
    return load(FilesDataset(format="auto", path=path, images=images), depth="headers")


def _rearranged(tmp_path: Path, name: str, labels: str, images: str) -> tuple[Path, str]:
    """A dataset with labels and images in folders of these names, and the fingerprint of its usual arrangement."""
    usual, root = dataset(tmp_path / "usual", name, **_COUNTS), tmp_path / "set"
    for split, count in _COUNTS.items():
        for shot in shots(split, count):
            (root / images.format(split)).mkdir(parents=True, exist_ok=True)
            shutil.copy(image_folder(usual, name, split) / shot.name, root / images.format(split))
            file = label_file(usual, name, split, shot.name)
            folder = root / labels.format(split)
            if name in {"voc", "labelme"}:
                folder = folder if "{}" in labels else folder / split
            else:
                folder = folder if "{}" in labels else folder / f"{split}{file.suffix}"
            (folder.parent if folder.suffix else folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    return root, _load(usual).fingerprint()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ("annotations", "images"),
        ("annotations", "data"),
        ("annotations", "img"),
        ("annotations", "Images/{}"),
        ("annotations", "data/{}"),
        ("annotations", "{}/images"),
        ("annotations", "{}2017"),
        ("annotations", "annotations/images"),
        ("labels", "JPEGImages"),
        ("labels", "images_{}"),
        ("{}", "{}/data"),
        ("{}/labels", "{}/images"),
        (".", "images"),
        (".", "data/{}"),
    ],
)
def test_images_are_found_where_tools_put_them(labels: str, images: str, name: str, tmp_path: Path) -> None:
    """Beside the folder of the labels or in it, whole or by split, in any letter case: the usual tables, no problem."""
    root, usual = _rearranged(tmp_path, name, labels, images)
    loaded = _load(root)
    assert not loaded.findings.problems()
    assert loaded.fingerprint() == usual


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("inner", ["", "{}", "images/{}"])
def test_images_that_are_named_lie_anywhere(inner: str, name: str, tmp_path: Path) -> None:
    """`images:` beside `path` is the folder of all, or the one above a folder for each split."""
    root, usual = _rearranged(tmp_path, name, "annotations", f"../elsewhere/{inner}")
    assert "missing_image" in {problem.code for problem in _load(root).findings.problems()}
    loaded = _load(root, tmp_path / "elsewhere")
    assert not loaded.findings.problems()
    assert loaded.fingerprint() == usual


@pytest.mark.parametrize("name", FORMATS)
def test_two_folders_with_other_images_of_the_same_names(name: str, tmp_path: Path) -> None:
    """An error that names both, unless they are copies; `images:` decides."""
    root, usual = _rearranged(tmp_path, name, "annotations", "images")
    shutil.copytree(root / "images", root / "data")
    assert not _load(root).findings.problems()
    for file in (root / "data").iterdir():
        Image.open(file).transpose(Image.Transpose.ROTATE_180).save(file)
    (problem,) = _load(root).findings.problems()
    assert (problem.code, problem.count) == ("ambiguous_image_folder", 2)
    assert f"{root / 'data'} and {root / 'images'} have different images of the same names" in str(problem)
    (root / "data" / "train001.jpg").unlink()  # one that is missing there decides nothing
    assert "ambiguous_image_folder" in {problem.code for problem in _load(root).findings.problems()}
    assert _load(root, root / "images").fingerprint() == usual


def test_the_images_of_another_split_are_not_taken(tmp_path: Path) -> None:
    """Frames of one number in train and val: where those of train are gone, they are missing."""
    root, _ = _rearranged(tmp_path, "coco", "annotations", "images/{}")
    for split in _COUNTS:
        file = root / "annotations" / f"{split}.json"
        file.write_text(file.read_text().replace(f'"{split}', '"frame'))
        for image in (root / "images" / split).iterdir():
            image.rename(image.with_name(image.name.replace(split, "frame")))
    assert not _load(root).findings.problems()
    shutil.rmtree(root / "images" / "train")
    codes = {problem.code: problem.count for problem in _load(root).findings.problems()}
    assert codes["missing_image"] == _COUNTS["train"]


@pytest.mark.parametrize(
    ("labels", "images", "path"),
    [
        ("annotations/{}", "images/{}", "../../images/{}/"),
        ("annotations/{}", "images/{}", "..\\..\\images\\{}\\"),
        ("json", "images/{}", "..\\..\\images\\{}\\"),
        ("{}/labels", "{}/images", "../images/"),
    ],
)
def test_labelme_paths_lead_to_images_nearby(labels: str, images: str, path: str, tmp_path: Path) -> None:
    """`imagePath` is relative to the JSON file, up to the folder that holds labels and images."""
    root, _ = _rearranged(tmp_path, "labelme", labels, images)
    for file in root.rglob("*.json"):
        content = json.loads(file.read_text())
        split = "train" if content["imagePath"].startswith("train") else "val"
        file.write_text(json.dumps(content | {"imagePath": path.format(split) + content["imagePath"]}))
    loaded = _load(root)
    assert not loaded.findings.problems()
    assert {name: len(part.annotations) for name, part in loaded.splits.items()} == _COUNTS


def test_labelme_paths_count_by_their_names_where_the_images_are_named(tmp_path: Path) -> None:
    """JSON files that were moved lead nowhere; the suite says where the images are."""
    root, usual = _rearranged(tmp_path, "labelme", "annotations", "../elsewhere")
    for file in root.rglob("*.json"):
        content = json.loads(file.read_text())
        file.write_text(json.dumps(content | {"imagePath": f"..\\..\\..\\old\\{content['imagePath']}"}))
    assert "path_escapes_root" in {problem.code for problem in _load(root).findings.problems()}
    loaded = _load(root, tmp_path / "elsewhere")
    assert not loaded.findings.problems()
    assert loaded.fingerprint() == usual
    train, val = (
        LabelledImages(annotations=root / "annotations" / split, images=tmp_path / "elsewhere") for split in _COUNTS
    )
    assert load(FilesDataset(format="labelme", train=train, val=val), depth="headers").fingerprint() == usual


@pytest.mark.parametrize("name", ["coco", "csv", "createml"])
@pytest.mark.parametrize(
    "folder",
    ["train2017/", "UI/2021-08-23/", "https://example.org/a/", "uploads\\a\\", "C:\\Users\\me\\", "/home/me/set/"],
)
def test_a_leading_folder_that_is_not_there(folder: str, name: str, tmp_path: Path) -> None:
    """Of a server or another machine: the images are found without it, with a warning."""
    root = dataset(tmp_path, name, train=4, val=2)
    clean = load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]
    file = label_file(root, name, "train", "train001.jpg")
    shown = folder if name == "csv" else folder.replace("\\", "\\\\")
    file.write_text(re.sub(r"(train\d+\.jpg)", lambda match: shown + match[1], file.read_text()))
    loaded = load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.severity, problem.count) == ("absent_folder", "warning", 1)
    assert "is not there; without it, images are found in" in str(problem)
    assert loaded.fingerprint() == clean.fingerprint()
    there = image_folder(root, name, "train") / "train2017"
    if folder == "train2017/":
        there.mkdir()
        for image in there.parent.glob("*.jpg"):
            image.rename(there / image.name)
        assert not load(FilesDataset(format=name, path=root), depth="headers").findings.problems()  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["..\\\\", "../../x/", "C:\\\\gone\\\\"])
def test_paths_that_lead_out_stay_refused(folder: str, tmp_path: Path) -> None:
    """All names of a file begin with `..`, or with a folder of another machine, and no image is near the labels."""
    root = dataset(tmp_path / "set", "coco", train=4, val=2)
    file = label_file(root, "coco", "train", "train001.jpg")
    file.write_text(re.sub(r"(train\d+\.jpg)", lambda match: folder + match[1], file.read_text()))
    if folder.startswith("C:"):
        shutil.rmtree(image_folder(root, "coco", "train"))
    codes = {problem.code: problem.count for problem in _load(root).findings.problems("error")}
    assert codes["path_escapes_root"] == 4


def test_images_that_are_nowhere_keep_their_names(tmp_path: Path) -> None:
    """Where leaving the folder off finds nothing either, or there are several folders, the whole names are told."""
    root = dataset(tmp_path, "coco", train=4, val=2)
    file = label_file(root, "coco", "train", "")
    text = file.read_text()
    file.write_text(re.sub(r"train(\d+)\.jpg", r"far/off\1.jpg", text))
    (problem, _) = load(FilesDataset(format="coco", path=root), depth="headers").findings.problems()
    assert (problem.code, problem.count) == ("missing_image", 4)
    assert "far/off000.jpg" in str(problem)
    file.write_text(re.sub(r"(train\d+(\d)\.jpg)", r"cam\2/\1", text))
    problem = load(FilesDataset(format="coco", path=root), depth="headers").findings.problems()[0]
    assert (problem.code, problem.count) == ("missing_image", 4)


@pytest.mark.parametrize("inside", ["cam1/a.jpg", "a.jpg", "cam1\\a.jpg"])
def test_labels_in_one_folder_of_a_labels_folder(inside: str, tmp_path: Path) -> None:
    """`annotations/cam1/a.xml` belongs to `images/cam1/a.jpg`, whichever way the label writes the name."""
    for folder in ("images", "annotations"):
        (tmp_path / folder / "cam1").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "cam1" / "a.jpg")
    (tmp_path / "annotations" / "cam1" / "a.xml").write_text(
        f"<annotation><filename>{inside}</filename><object><name>bolt</name><bndbox><xmin>3</xmin><ymin>4</ymin>"
        "<xmax>20</xmax><ymax>10</ymax></bndbox></object></annotation>"
    )
    loaded = _load(tmp_path)
    assert not loaded.findings.problems()
    assert loaded.splits["all"].annotations.boxes.tolist() == [[2, 3, 20, 10]]


@pytest.mark.parametrize("name", FORMATS)
def test_images_above_the_labels_are_of_another_dataset(name: str, tmp_path: Path) -> None:
    """Originals one folder up, or a sibling's images of the same names, are neither taken nor in the way."""
    root = dataset(tmp_path / "test_site_1", name, train=4, val=2)
    dataset(tmp_path / "test_site_2", name, train=4, val=2)
    clean = _load(root).fingerprint()
    for folder in ("train", "images/train"):
        (tmp_path / folder).mkdir(parents=True)
        for shot in shots("train", 4):
            Image.new("RGB", (96, 96), "red").save(tmp_path / folder / shot.name)
    assert not _load(root).findings.problems()
    assert _load(root).fingerprint() == clean
    (image_folder(root, name, "train") / "train001.jpg").unlink()
    (problem,) = _load(root).findings.problems("error")
    assert (problem.code, problem.count) == ("missing_image", 1)
