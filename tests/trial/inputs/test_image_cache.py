"""Each image is decoded once, whoever asks, and what is kept is what would be decoded now."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from harness.data.load import load
from harness.suite.schema import CacheKind, FilesDataset, LabelledImages, SplitRule
from harness.suite.trial import TrialDataset
from harness.trial.inputs import image_cache
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.image_cache import ImageCache, open_caches
from harness.trial.inputs.item import Items

COUNT = 6
SIZES = np.array([[7 + number, 5] for number in range(COUNT)], dtype=np.int32)
PLENTY = 10**9


def _caches(folder: Path, kind: CacheKind = "disk", free_memory: int = PLENTY) -> dict[str, ImageCache]:
    return open_caches(kind, folder, "f" * 64, {"train": SIZES}, free_memory=free_memory)


def _pixels(index: int) -> Tensor:
    generator = torch.Generator().manual_seed(index)
    return torch.randint(0, 256, (3 * int(SIZES[index].prod()),), generator=generator, dtype=torch.uint8)


def _keep(cache: ImageCache, index: int, source: str | None = None) -> None:
    cache.write(index, source, cache.key_of(source), _pixels(index))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.images"))


@pytest.mark.parametrize("kind", ["auto", "disk", "ram"])
def test_what_was_kept_is_read_back(tmp_path: Path, kind: CacheKind) -> None:
    """Bit for bit, each image its own, and only those that were kept."""
    cache = _caches(tmp_path, kind)["train"]
    for index in (5, 0, 3):
        _keep(cache, index)
    for index in range(COUNT):
        found = cache.read(index, None)
        assert (found is not None) == (index in (0, 3, 5))
        assert found is None or torch.equal(found, _pixels(index))
    assert len(_files(tmp_path)) == (kind != "ram")


def test_trials_share_what_is_on_the_disk(tmp_path: Path) -> None:
    """A later one finds what an earlier one decoded; `none` has no cache, and another dataset has its own."""
    _keep(_caches(tmp_path)["train"], 2)
    again = _caches(tmp_path)["train"].read(2, None)
    assert again is not None
    assert torch.equal(again, _pixels(2))
    assert _caches(tmp_path, "none") == {}
    other = open_caches("disk", tmp_path, "0" * 64, {"train": SIZES}, free_memory=PLENTY)["train"]
    assert other.read(2, None) is None


def _read_in_another_process(cache: ImageCache, index: int, found: multiprocessing.SimpleQueue[bytes | None]) -> None:
    pixels = cache.read(index, None)
    found.put(None if pixels is None else pixels.numpy().tobytes())


@pytest.mark.parametrize("kind", ["disk", "ram"])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_processes_use_the_same_cache(tmp_path: Path, kind: CacheKind, start: str) -> None:
    """However they are started, of what is in memory too."""
    context: Any = multiprocessing.get_context(start)
    cache = _caches(tmp_path, kind)["train"]
    _keep(cache, 1)
    found: multiprocessing.SimpleQueue[bytes | None] = context.SimpleQueue()
    worker = context.Process(target=_read_in_another_process, args=(cache, 1, found))
    worker.start()
    assert found.get() == _pixels(1).numpy().tobytes()
    worker.join()


def test_another_file_in_an_images_place_is_decoded_again(tmp_path: Path) -> None:
    """Of the same length too; and a file that changed while it was decoded is not kept."""
    source = tmp_path / "a.png"
    source.write_bytes(b"12345")
    cache = _caches(tmp_path / "cache")["train"]
    _keep(cache, 0, str(source))
    assert cache.read(0, str(source)) is not None
    os.utime(source, ns=(1, 1))
    assert cache.read(0, str(source)) is None
    key = cache.key_of(str(source))
    os.utime(source, ns=(2, 2))
    cache.write(0, str(source), key, _pixels(0))
    assert cache.read(0, str(source)) is None
    source.unlink()
    assert cache.read(0, str(source)) is None


def test_pixels_without_their_key_are_not_read(tmp_path: Path) -> None:
    """As a process leaves them that was killed between the two."""
    cache = _caches(tmp_path)["train"]
    _keep(cache, 4)
    (file,) = _files(tmp_path)
    with file.open("r+b") as stream:
        stream.seek(4 * 8)
        stream.write(bytes(8))
    assert cache.read(4, None) is None


def test_what_was_kept_before_a_restart_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what of it had reached the disk; and where restarts cannot be told, nothing is kept on it."""
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(image_cache, "_BOOT", boot)
    assert _caches(tmp_path / "cache") == {}
    boot.write_text("first\n")
    _keep(_caches(tmp_path / "cache")["train"], 0)
    boot.write_text("second\n")
    assert _caches(tmp_path / "cache")["train"].read(0, None) is None
    (file,) = _files(tmp_path / "cache")
    assert "second" in file.name


@pytest.mark.parametrize("kind", ["auto", "ram"])
def test_half_of_the_memory_that_is_free_is_taken(tmp_path: Path, kind: CacheKind) -> None:
    """The first images have room; the others are decoded each time."""
    needed = COUNT * 8 + 3 * int(SIZES[:4].prod(axis=1).sum())
    cache = _caches(tmp_path, kind, free_memory=2 * needed)["train"]
    for index in range(COUNT):
        _keep(cache, index)
    assert [cache.read(index, None) is not None for index in range(COUNT)] == [True] * 4 + [False] * 2
    assert _caches(tmp_path, kind, free_memory=100) == {}


def test_what_other_trials_will_write_is_left_free(tmp_path: Path) -> None:
    """A night that fits on the disk does so with the cache too."""
    free = shutil.disk_usage(tmp_path).free
    how = (tmp_path / "cache", "f" * 64, {"train": SIZES})
    assert open_caches("disk", *how, free_memory=None, reserved=free // 2) != {}
    assert open_caches("disk", *how, free_memory=None, reserved=2 * free) == {}


def test_a_full_disk_ends_the_cache_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Images are decoded again from then on; so they are where somebody deletes the file."""
    cache = _caches(tmp_path)["train"]

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        _keep(cache, 0)
    assert "No space left on device" in caplog.text
    _keep(cache, 1)
    assert cache.read(1, None) is None
    deleted = _caches(tmp_path)["train"]
    _files(tmp_path)[0].unlink()
    assert deleted.read(0, None) is None
    _keep(deleted, 0)


def test_a_folder_that_cannot_be_made_costs_the_cache_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The trial decodes its images."""
    (tmp_path / "file").write_text("")
    assert _caches(tmp_path / "file" / "images") == {}
    assert "decoded images are not kept" in caplog.text


def test_a_pickled_cache_opens_the_file_itself(tmp_path: Path) -> None:
    """No file descriptor passes to another process."""
    cache = _caches(tmp_path)["train"]
    _keep(cache, 0)
    again = pickle.loads(pickle.dumps(cache)).read(0, None)
    assert torch.equal(again, _pixels(0))


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_a_cache_that_is_left_leaves_no_file_open(tmp_path: Path, kind: CacheKind) -> None:
    """Nor memory in use: a process may run one trial after another."""
    before = os.listdir("/proc/self/fd")
    cache = _caches(tmp_path, kind)["train"]
    _keep(cache, 0)
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    del cache
    assert len(os.listdir("/proc/self/fd")) == len(before)


def _opened(folder: Path, caches: Path | None) -> Items:
    split = LabelledImages(annotations=folder / "labels.json", images=folder)
    source = FilesDataset(format="coco", all=split, split=SplitRule(val=0.4))
    dataset = TrialDataset(name="d", fingerprint=load(source, depth="headers").fingerprint(), source=source)
    if caches is None:
        return open_dataset(dataset, max_images=None, import_folder=Path()).splits["train"]
    return open_dataset(
        dataset,
        max_images=None,
        import_folder=Path(),
        caches=lambda sizes: open_caches("disk", caches, dataset.fingerprint, sizes, free_memory=None),
    ).splits["train"]


def test_an_item_from_the_cache_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image of a split, the second time without its file being decoded."""
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number, (width, height) in enumerate([(30, 20), (20, 30), (25, 25)]):
        name = f"{number}.jpg"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(tmp_path / name)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        boxes.append(
            {"id": number + 1, "image_id": number, "category_id": 1, "bbox": [2, 2, 9, 9], "iscrowd": 0, "area": 81}
        )
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    plain, cached = _opened(tmp_path, None), _opened(tmp_path, tmp_path / "cache")
    for index in range(len(plain)):
        assert torch.equal(cached[index].image, plain[index].image)
    monkeypatch.setattr("harness.data.open.read_pixels", lambda _path: pytest.fail("decoded again"))
    again = _opened(tmp_path, tmp_path / "cache")
    for index in range(len(plain)):
        assert torch.equal(again[index].image, cached[index].image)
