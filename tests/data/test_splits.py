"""Splits open, missing and broken images are found before the night, and fingerprints follow the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.splits import fingerprint, open_split, split_names
from harness.errors import DataError
from harness.suite.spec import CocoDataset, CocoSplit, PythonDataset, PythonSplit, SyntheticDataset, SyntheticImages


def _coco(folder: Path) -> CocoDataset:
    splits = {
        name: CocoSplit(images=folder / name, annotations=folder / f"{name}.json") for name in ("train", "val", "test")
    }
    return CocoDataset(format="coco", **splits)


def test_images_are_read_as_rgb(coco_folder: Path) -> None:
    """Pixels come as uint8 [H, W, 3] of the size that the annotations say."""
    split = open_split(_coco(coco_folder), "train")
    assert split_names(_coco(coco_folder)) == ("train", "val", "test")
    assert split.read_image(3).shape == (80, 120, 3)
    assert split.read_image(3).dtype == np.uint8


def test_the_fingerprint_follows_the_data_not_its_place(coco_folder: Path, tmp_path: Path) -> None:
    """A copy elsewhere has the same one; another label, another image or another class has not."""
    before = fingerprint(_coco(coco_folder))
    moved = shutil.copytree(coco_folder, tmp_path / "moved")
    assert fingerprint(_coco(moved)) == before
    text = (moved / "val.json").read_text()
    (moved / "val.json").write_text(text.replace("30.5", "31.5"))
    assert fingerprint(_coco(moved)) != before
    (moved / "val.json").write_text(text)
    Image.new("RGB", (96, 80), "red").save(moved / "train" / "000.jpg")
    assert fingerprint(_coco(moved)) != before


def test_all_missing_and_broken_images_are_named(coco_folder: Path) -> None:
    """Each with the annotation file and the index, together."""
    (coco_folder / "train" / "001.jpg").unlink()
    (coco_folder / "val" / "002.jpg").write_text("no image")
    with pytest.raises(DataError) as error:
        fingerprint(_coco(coco_folder))
    assert f"{coco_folder / 'train.json'}: images[1]: no such image" in str(error.value)
    assert f"{coco_folder / 'val.json'}: images[2]: {coco_folder / 'val' / '002.jpg'}: cannot be" in str(error.value)


def test_splits_must_agree_on_classes(coco_folder: Path) -> None:
    """A category that train does not know would be evaluated under another one's number."""
    content = json.loads((coco_folder / "val.json").read_text())
    content["categories"].append({"id": 4, "name": "washer"})
    (coco_folder / "val.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"val.json: its categories .*washer.* are not those of train"):
        fingerprint(_coco(coco_folder))


def test_a_torn_image_and_a_wrong_size_name_the_file(coco_folder: Path) -> None:
    """Pixels that end early, or that are not as large as the boxes assume, are errors when read."""
    path = coco_folder / "train" / "000.jpg"
    path.write_bytes(path.read_bytes()[:700])
    split = open_split(_coco(coco_folder), "train")
    with pytest.raises(DataError, match=str(path)):
        split.read_image(0)
    Image.new("RGB", (50, 80)).save(path)
    with pytest.raises(DataError, match="is 50 × 80 pixels, its annotations say 96 × 80"):
        split.read_image(0)


def test_a_rotated_photo_counts_as_a_person_sees_it(coco_folder: Path) -> None:
    """EXIF rotation is applied before sizes are compared and pixels are read."""
    path = coco_folder / "train" / "000.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 96)).save(path, exif=exif)
    fingerprint(_coco(coco_folder))
    assert open_split(_coco(coco_folder), "train").read_image(0).shape == (80, 96, 3)
    Image.new("RGB", (96, 80)).save(path, exif=exif)
    with pytest.raises(DataError, match=r"images\[0\]: .*is 80 × 96 pixels, its annotations say 96 × 80"):
        fingerprint(_coco(coco_folder))


def test_sixteen_bits_are_scaled_and_open_ranges_refused(coco_folder: Path) -> None:
    """A 16-bit PNG keeps its greys; 32-bit integers and floats, whose white nobody knows, are an error beforehand."""
    path = coco_folder / "train" / "000.jpg"
    grey = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (80, 1))
    Image.fromarray(grey).save(path, format="PNG")
    fingerprint(_coco(coco_folder))
    pixels = open_split(_coco(coco_folder), "train").read_image(0)
    assert pixels[0, :, 0].tolist() == (grey[0] >> 8).tolist()
    for kind in (np.int32, np.float32):
        Image.fromarray(grey.astype(kind)).save(path, format="TIFF")
        with pytest.raises(DataError, match=r"images\[0\]: .*no fixed range"):
            fingerprint(_coco(coco_folder))


def test_a_name_too_long_is_an_error(coco_folder: Path) -> None:
    """A file name that no disk can hold is told like a missing image."""
    text = (coco_folder / "train.json").read_text().replace("000.jpg", f"{'x' * 300}.jpg")
    (coco_folder / "train.json").write_text(text)
    with pytest.raises(DataError, match=r"images\[0\]: .*too long|no such image"):
        fingerprint(_coco(coco_folder))


def test_an_image_bomb_is_an_error(coco_folder: Path) -> None:
    """A small file that would unpack to gigabytes is refused by its header."""
    path = coco_folder / "train" / "000.jpg"
    Image.new("1", (20000, 20000)).save(path, format="PNG")
    with pytest.raises(DataError, match=r"images\[0\]: .*cannot be read as an image.*exceeds limit"):
        fingerprint(_coco(coco_folder))


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
