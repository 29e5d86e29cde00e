"""What was read of image headers is used again for the same files, and only for these."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from harness.data import images
from harness.data.load import load
from harness.data.open import open_splits
from harness.suite.schema import FilesDataset

if TYPE_CHECKING:
    from harness.data.images import ImageInfo


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the image files that are opened from here on."""
    names: list[str] = []
    scan = images.scan_image

    def scan_and_note(path: str, *, decode: bool) -> ImageInfo:
        names.append(Path(path).name)
        return scan(path, decode=decode)

    monkeypatch.setattr(images, "scan_image", scan_and_note)
    return names


def _dataset(folder: Path, on_bad_data: str = "fail") -> FilesDataset:
    for split, count in (("train", 3), ("valid", 2)):
        (folder / split / "images").mkdir(parents=True)
        (folder / split / "labels").mkdir()
        for index in range(count):
            _write(folder / split / "images" / f"{split}{index}.jpg", (40 + index, 30 if split == "train" else 20))
            (folder / split / "labels" / f"{split}{index}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text("train: train/images\nval: valid/images\nnames: [thing]\n")
    return FilesDataset(format="yolo", path=folder, on_bad_data=on_bad_data)  # type: ignore[arg-type] # of the test


def _write(path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, size[1], 30)).save(path)


def test_a_second_process_opens_no_sound_image_and_sees_the_same(tmp_path: Path, opened: list[str]) -> None:
    """Sizes, lengths, the fingerprint. What could not be read is tried again: a disk that failed once may be well."""
    dataset, kept = _dataset(tmp_path / "data", "skip"), tmp_path / "kept.json"
    (tmp_path / "data/train/images/train1.jpg").write_bytes(b"no image")
    first = open_splits(dataset, kept)[1]
    assert len(opened) == 5
    opened.clear()
    second = open_splits(dataset, kept)[1]
    assert opened == ["train1.jpg"]
    assert first is not None
    assert second is not None
    assert second.fingerprint() == first.fingerprint()
    assert [problem.code for problem in second.findings.problems("error")] == ["unreadable_image"]
    for name, split in first.splits.items():
        assert second.splits[name].infos == split.infos


def test_a_file_that_was_replaced_is_opened_again(tmp_path: Path, opened: list[str]) -> None:
    """Also one of the same length, at the same time of writing, in the same inode: the times tell of its change."""
    dataset, kept = _dataset(tmp_path / "data"), tmp_path / "kept.json"
    open_splits(dataset, kept)
    changed = tmp_path / "data/train/images/train1.jpg"
    before = changed.stat()
    other = tmp_path / "other.jpg"
    _write(other, (42, 30))
    content = other.read_bytes()
    assert len(content) == before.st_size
    with changed.open("r+b") as stream:
        stream.write(content)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    opened.clear()
    splits, _ = open_splits(dataset, kept)
    assert opened == ["train1.jpg"]
    assert splits["train"].annotations.sizes[:, 0].tolist() == [40, 42, 42]


def test_a_new_image_alone_is_opened(tmp_path: Path, opened: list[str]) -> None:
    """The others are known."""
    dataset, kept = _dataset(tmp_path / "data"), tmp_path / "kept.json"
    open_splits(dataset, kept)
    opened.clear()
    _write(tmp_path / "data/train/images/train9.jpg", (64, 48))
    (tmp_path / "data/train/labels/train9.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert len(open_splits(dataset, kept)[0]["train"].annotations.sizes) == 4
    assert opened == ["train9.jpg"]
    opened.clear()
    open_splits(dataset, kept)
    assert opened == []


@pytest.mark.parametrize("content", ["", "{", json.dumps({"version": 0, "images": {"a": []}}), "[]"])
def test_a_file_that_cannot_be_used_is_written_anew(tmp_path: Path, opened: list[str], content: str) -> None:
    """Whatever it holds, every image is opened."""
    dataset, kept = _dataset(tmp_path / "data"), tmp_path / "kept.json"
    kept.write_text(content)
    open_splits(dataset, kept)
    assert len(opened) == 5
    opened.clear()
    open_splits(dataset, kept)
    assert opened == []


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, opened: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The data are read all the same."""
    dataset = _dataset(tmp_path / "data")
    (tmp_path / "file").write_text("in the way of the folder")
    for _ in range(2):
        assert len(open_splits(dataset, tmp_path / "file" / "kept.json")[0]["val"].annotations.sizes) == 2
    assert len(opened) == 10
    assert "image headers are not kept" in caplog.text


def test_whoever_decodes_every_image_decodes_every_image(tmp_path: Path, opened: list[str]) -> None:
    """A check at the depth `pixels` trusts no earlier one."""
    from harness.data.header_cache import HeaderCache

    dataset, kept = _dataset(tmp_path / "data"), tmp_path / "kept.json"
    open_splits(dataset, kept)
    opened.clear()
    load(dataset, depth="pixels", headers=HeaderCache(kept))
    assert len(opened) == 5


def test_an_orientation_of_another_type_is_a_number(tmp_path: Path, opened: list[str]) -> None:
    """A camera that writes it as a fraction: it is kept as any other."""
    dataset, kept = _dataset(tmp_path / "data"), tmp_path / "kept.json"
    turned = Image.new("RGB", (42, 30))
    tags = struct.pack("<2sHIHHHIIIII", b"II", 42, 8, 1, 0x0112, 5, 1, 26, 0, 6, 1)  # a rational, 6 / 1
    turned.save(tmp_path / "data/train/images/train1.jpg", exif=b"Exif\0\0" + tags)
    first = open_splits(dataset, kept)[0]["train"].annotations.sizes
    opened.clear()
    assert open_splits(dataset, kept)[0]["train"].annotations.sizes.tolist() == first.tolist()
    assert opened == []


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 1}', '{"version": 1, "images": 3}', "null"])
def test_a_file_that_cannot_be_read_back_is_as_an_empty_one(tmp_path: Path, opened: list[str], content: str) -> None:
    """Everything is opened again."""
    dataset, kept = _dataset(tmp_path / "data"), tmp_path / "kept.json"
    kept.write_text(content)
    open_splits(dataset, kept)
    assert len(opened) == 5
