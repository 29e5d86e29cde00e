"""Splits open, their pixels are read by one rule, and fingerprints follow the data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.load import load
from harness.data.open import Split, fingerprint, older_fingerprint, open_splits
from harness.errors import DataError
from harness.suite.schema import (
    FilesDataset,
    LabelledImages,
    OnBadData,
    PythonDataset,
    PythonSplit,
    SyntheticDataset,
    SyntheticImages,
)

# Of the dataset in `test_fingerprints_of_files_alone_are_those_of_before`, as version 0.3.0 computed it.
OLDER_FINGERPRINT = "a31510a07352fceb6577678090bfb4db2139bd2bad7b8ef4eca69bd57df2bc2e"


def _coco(folder: Path, on_bad_data: OnBadData = "stop") -> FilesDataset:
    train, val, test = (
        LabelledImages(images=folder / name, annotations=folder / f"{name}.json") for name in ("train", "val", "test")
    )
    return FilesDataset(format="coco", on_bad_data=on_bad_data, train=train, val=val, test=test)


def _open(folder: Path, name: str = "train", on_bad_data: OnBadData = "stop") -> Split:
    return open_splits(_coco(folder, on_bad_data))[0][name]


def _fingerprint(folder: Path) -> str:
    return load(_coco(folder), depth="headers").fingerprint()


def test_images_are_read_as_rgb(coco_folder: Path) -> None:
    """Pixels come as uint8 [H, W, 3] of the size that the annotations say."""
    splits, _ = open_splits(_coco(coco_folder))
    assert list(splits) == ["train", "val", "test"]
    assert splits["train"].read_image(3).shape == (80, 120, 3)
    assert splits["train"].read_image(3).dtype == np.uint8


def test_the_fingerprint_follows_the_data_not_its_place(coco_folder: Path, tmp_path: Path) -> None:
    """A copy elsewhere has the same one; another label or another image has not."""
    before = _fingerprint(coco_folder)
    moved = shutil.copytree(coco_folder, tmp_path / "moved")
    assert _fingerprint(moved) == before
    text = (moved / "val.json").read_text()
    (moved / "val.json").write_text(text.replace("30.5", "31.5"))
    assert _fingerprint(moved) != before
    (moved / "val.json").write_text(text)
    Image.new("RGB", (96, 80), "red").save(moved / "train" / "000.jpg")
    assert _fingerprint(moved) != before


def test_all_missing_and_broken_images_are_named(coco_folder: Path) -> None:
    """Each with its file and the image's id, together."""
    (coco_folder / "train" / "001.jpg").unlink()
    (coco_folder / "val" / "002.jpg").write_text("no image")
    with pytest.raises(DataError) as error:
        _open(coco_folder)
    assert f"{coco_folder / 'train.json'}: image 107: 001.jpg: no such image: " in str(error.value)
    assert f"{coco_folder / 'val' / '002.jpg'}: image 114: text, no image ('no image')" in str(error.value)


def test_bad_data_may_be_skipped_and_are_counted(coco_folder: Path) -> None:
    """`on_bad_data: skip` leaves out the image that is not there and the box that is none, and nothing else."""
    (coco_folder / "train" / "000.jpg").unlink()
    content = json.loads((coco_folder / "train.json").read_text())
    content["annotations"][3]["bbox"][2] = 0
    (coco_folder / "train.json").write_text(json.dumps(content))
    splits, loaded = open_splits(_coco(coco_folder, "skip"))
    assert loaded is not None
    assert loaded.skipped() == {"missing_image": 1, "degenerate_box": 1}
    assert splits["train"].annotations.file_names == ("001.jpg", "002.jpg", "003.jpg", "004.jpg")
    assert np.diff(splits["train"].annotations.offsets).tolist() == [0, 1, 2, 2]
    assert splits["train"].read_image(0).shape == (80, 104, 3)
    shutil.rmtree(coco_folder / "train")
    with pytest.raises(DataError, match="empty_split"):
        open_splits(_coco(coco_folder, "skip"))


def test_a_class_that_train_does_not_list_is_unknown(coco_folder: Path) -> None:
    """Classes agree by name, whatever their ids; one that train does not know cannot be learned."""
    content = json.loads((coco_folder / "val.json").read_text())
    content["categories"] = [{"id": 3, "name": "washer"}, {"id": 90, "name": "bolt"}]
    (coco_folder / "val.json").write_text(json.dumps(content))
    loaded = load(_coco(coco_folder), depth="headers")
    (problem,) = loaded.findings.problems("error")
    assert problem.code == "unknown_class"
    assert "washer" in str(problem)
    val = loaded.splits["val"].annotations
    assert val.class_names == ("bolt", "nut")
    assert set(val.labels.tolist()) == {0}


def test_an_image_that_changes_under_a_trial_is_an_error(coco_folder: Path) -> None:
    """A size that differs from what was seen when the split was opened names the file."""
    split = _open(coco_folder)
    path = coco_folder / "train" / "000.jpg"
    Image.new("RGB", (50, 80)).save(path)
    with pytest.raises(DataError, match="is 50 × 80 pixels, was 96 × 80 when the trial began"):
        split.read_image(0)
    path.unlink()
    with pytest.raises(DataError, match=str(path)):
        split.read_image(0)


def test_sixteen_bits_are_scaled_and_open_ranges_refused(coco_folder: Path) -> None:
    """A 16-bit PNG keeps its greys; 32-bit integers and floats, whose white nobody knows, are an error beforehand."""
    path = coco_folder / "train" / "000.jpg"
    grey = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (80, 1))
    Image.fromarray(grey).save(path, format="PNG")
    pixels = _open(coco_folder).read_image(0)
    assert pixels[0, :, 0].tolist() == (grey[0] >> 8).tolist()
    for kind in (np.int32, np.float32):
        Image.fromarray(grey.astype(kind)).save(path, format="TIFF")
        with pytest.raises(DataError, match=r"unreadable_image .*\n.*000.jpg.*no fixed range"):
            _open(coco_folder)


def test_an_image_bomb_is_an_error(coco_folder: Path) -> None:
    """A small file that would unpack to gigabytes is refused by its header."""
    path = coco_folder / "train" / "000.jpg"
    Image.new("1", (20000, 20000)).save(path, format="PNG")
    with pytest.raises(DataError, match=r"unreadable_image .*\n.*000.jpg: image 100: .*exceeds limit"):
        _open(coco_folder)


def test_fingerprints_of_python_and_synthetic(tmp_path: Path) -> None:
    """Arguments, the file's text and the drawing's options count; the file's folder does not."""

    def python(folder: Path, text: str, count: int) -> str:
        folder.mkdir(exist_ok=True)
        (folder / "d.py").write_text(text)
        split = PythonSplit(dataset=f"{folder / 'd.py'}:D", args={"count": count})
        return fingerprint(PythonDataset(format="python", classes=("a",), train=split, val=split))

    first = python(tmp_path / "one", "class D: ...", 3)
    assert python(tmp_path / "two", "class D: ...", 3) == first
    assert python(tmp_path / "two", "class D: 1", 3) != first
    assert python(tmp_path / "two", "class D: ...", 4) != first

    def synthetic(size: int) -> str:
        images = SyntheticImages(images=1)
        return fingerprint(SyntheticDataset(format="synthetic", train=images, val=images, size=size))

    assert synthetic(64) == synthetic(64) != synthetic(96)


def _python(name: str, folder: Path) -> str:
    dataset = f"{folder / name}:D" if name.endswith(".py") else f"{name}:D"
    split = PythonSplit(dataset=dataset, args={})
    return fingerprint(PythonDataset(format="python", classes=("a",), train=split, val=split), folder)


@pytest.mark.parametrize("name", ["d.py", "d", "package.d"])
def test_an_edit_of_the_users_code_is_in_the_fingerprint(name: str, tmp_path: Path) -> None:
    """Of the file of the class and of what it imports, of the user's own; nothing else, and not where they lie."""

    def write(folder: Path) -> Path:
        (folder / "package").mkdir(parents=True)
        for file in ("d.py", "package/d.py"):
            (folder / file).write_text("import helper, torch\nclass D: ...")
        for file in ("helper.py", "unused.py", "package/__init__.py"):
            (folder / file).write_text("X = 1")
        return folder

    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    first = _python(name, one)
    assert _python(name, two) == first
    (two / "unused.py").write_text("X = 2")
    assert _python(name, two) == first
    (two / "helper.py").write_text("X = 2")
    edited = _python(name, two)
    assert edited != first
    (two / "helper.py").write_text("X = 1")
    assert _python(name, two) == first
    own = two / (name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
    own.write_text(own.read_text() + "  # edited")
    assert len({_python(name, two), edited, first}) == 3


def test_fingerprints_of_files_alone_are_those_of_before(tmp_path: Path) -> None:
    """A `file.py:Class` that imports nothing of the user's keeps its trials; any other code makes new ones, once."""
    (tmp_path / "helper.py").write_text("X = 1")
    for name, text, same in (
        ("alone.py", "import torch\nclass D: ...", True),
        ("aided.py", "import helper\nclass D: ...", False),
        ("alone", "", False),
    ):
        if text:
            (tmp_path / name).write_text(text)
        dataset = f"{tmp_path / name}:D" if text else f"{name}:D"
        split = PythonSplit(dataset=dataset, args={})
        source = PythonDataset(format="python", classes=("a",), train=split, val=split)
        assert (fingerprint(source, tmp_path) == older_fingerprint(source)) is same
    source = PythonDataset(
        format="python", classes=("a",), train=PythonSplit(dataset="m:D"), val=PythonSplit(dataset="m:D")
    )
    assert older_fingerprint(source) == OLDER_FINGERPRINT


def test_code_that_is_not_there_is_told_before_the_night(tmp_path: Path) -> None:
    """A module by name, with where it was searched; a file by its path."""
    with pytest.raises(DataError, match="no_such_data: there is no module no_such_data in "):
        _python("no_such_data", tmp_path)
    with pytest.raises(DataError, match=r"no_such.py: cannot be read: No such file"):
        _python("no_such.py", tmp_path)
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(DataError, match=r"pipe.py: cannot be read: it is no file"):
        _python("pipe.py", tmp_path)
