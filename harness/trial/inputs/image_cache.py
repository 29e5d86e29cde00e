"""Keep decoded images, so that each is decoded once: in a file that all trials of a suite share, or in memory.

What is kept are the pixels that a reader gives, bit for bit, so no result depends on it. Owns the files' layout, their
bounds, and what makes a kept image void: another file in its place, or a restart of the machine, after which nobody
knows what of it had reached the disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from harness.suite.schema import CacheKind

log = logging.getLogger(__name__)

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_KEY_BYTES = 8
_SHARE = 0.5  # of the memory or disk space that is free
_SUFFIX = ".images"
_BLOCK = 512  # bytes, of stat
_DRAWN = 1  # the key of images without a file, which depend on the dataset's fingerprint alone


@dataclass(slots=True)
class ImageCache:
    """The decoded images of one split, in one file: a key for each image, then the pixels of each, in order.

    A key says which file was decoded; it is written after the pixels, so a process that is killed leaves none without
    them. Processes that decode the same image write the same bytes.

    Attributes:
        path: of the file; of one in memory, what other processes open it by.
        offsets: int64 [I + 1], where the pixels of each image begin, and where the last ones end.
        images: the number of images that have room, the first ones.
    """

    path: Path
    offsets: NDArray[np.int64]
    images: int
    _file: int | None = None

    def read(self, index: int, source: str | None) -> Tensor | None:
        """The pixels of an image, uint8 [N]; None if they are not there.

        Args:
            source: the image's file; None for a drawn image.
        """
        if index >= self.images:
            return None
        pixels = torch.empty(int(self.offsets[index + 1] - self.offsets[index]), dtype=torch.uint8)
        try:
            kept = os.pread(self._opened(), _KEY_BYTES, index * _KEY_BYTES)
            if int.from_bytes(kept, "little") != self.key_of(source):
                return None
            got = os.preadv(self._opened(), [pixels.numpy()], int(self.offsets[index]))  # type: ignore[list-item] # a buffer
        except OSError as error:
            self._give_up(error)
            return None
        return pixels if got == len(pixels) else None

    def write(self, index: int, source: str | None, key: int | None, pixels: Tensor) -> None:
        """Keep the pixels of an image; where the disk is full, no more are kept.

        Args:
            key: of the file before it was decoded, by `key_of`; a file that changed since is not kept.
        """
        room = index < self.images and len(pixels) == self.offsets[index + 1] - self.offsets[index]
        if not room or key is None or key != self.key_of(source):
            return
        try:
            written = os.pwrite(self._opened(), pixels.numpy(), int(self.offsets[index]))  # type: ignore[arg-type] # a buffer
            if written == len(pixels):
                os.pwrite(self._opened(), key.to_bytes(_KEY_BYTES, "little"), index * _KEY_BYTES)
        except OSError as error:
            self._give_up(error)

    def key_of(self, source: str | None) -> int | None:
        """What tells an image's file from another one in its place; None if there is no such file."""
        if source is None:
            return _DRAWN
        try:
            found = os.stat(source)
        except OSError:
            return None
        told = f"{source} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
        return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=_KEY_BYTES).digest(), "little") | 2  # above 1

    def _give_up(self, error: OSError) -> None:
        """Use the file no more: the disk is full, or somebody has deleted it."""
        log.warning("%s: %s: decoded images are not kept any longer", self.path, error)
        self.images = 0

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR)
        return self._file

    def __getstate__(self) -> tuple[object, ...]:
        """For a worker process that is not forked: it opens the file itself."""
        return self.path, self.offsets, self.images

    def __setstate__(self, state: tuple[Path, NDArray[np.int64], int]) -> None:
        self.path, self.offsets, self.images = state
        self._file = None

    def __del__(self) -> None:
        """Close the file, by which memory is free again: several trials may run in one process."""
        if self._file is not None:
            os.close(self._file)


def open_caches(
    kind: CacheKind,
    folder: Path,
    fingerprint: str,
    sizes: Mapping[str, NDArray[np.int32]],
    *,
    free_memory: int | None,
    reserved: int = 0,
) -> dict[str, ImageCache]:
    """The cache of each split, as far as there is room: at most half of what is free.

    Args:
        kind: `disk` keeps files in `folder`, `ram` keeps them in this trial's memory; `auto` keeps files as far as the
            system can hold them in memory too, for a slow disk may take longer than decoding.
        fingerprint: of the dataset.
        sizes: of the images of each split, int [I, 2], (width, height).
        free_memory: bytes; None: unknown.
        reserved: bytes of the disk that are kept free for others.
    """
    boot = _BOOT.read_text().strip() if _BOOT.exists() else None
    if kind == "none" or not hasattr(os, "memfd_create" if kind == "ram" else "preadv") or boot is None:
        return {}
    try:
        return dict(_opened_caches(kind, folder, fingerprint, sizes, boot, free_memory, reserved))
    except OSError as error:
        log.warning("decoded images are not kept: %s", error)
        return {}


def _opened_caches(
    kind: CacheKind,
    folder: Path,
    fingerprint: str,
    sizes: Mapping[str, NDArray[np.int32]],
    boot: str,
    free_memory: int | None,
    reserved: int,
) -> Iterator[tuple[str, ImageCache]]:
    paths = {split: folder / f"{fingerprint[:16]}-{split}-{boot}{_SUFFIX}" for split in sizes}
    rooms = []
    if kind != "disk":
        rooms.append(free_memory or 0)
    if kind != "ram":
        folder.mkdir(parents=True, exist_ok=True)
        _remove_others(folder, boot)
        kept = sum(path.stat().st_blocks * _BLOCK for path in paths.values() if path.exists())  # by earlier trials
        rooms.append(max(0, shutil.disk_usage(folder).free + kept - reserved))
    room = int(_SHARE * min(rooms))
    for split, of_images in sizes.items():
        pixels = 3 * of_images.astype(np.int64).prod(axis=1)
        offsets = len(pixels) * _KEY_BYTES + np.concatenate([[0], pixels.cumsum()])
        images = int(np.searchsorted(offsets, room, side="right")) - 1
        if images < 1:
            continue
        room -= int(offsets[images])
        yield split, _in_memory(split, offsets, images) if kind == "ram" else _on_disk(paths[split], offsets, images)


def _in_memory(split: str, offsets: NDArray[np.int64], images: int) -> ImageCache:
    file = os.memfd_create(f"images-{split}")
    os.ftruncate(file, int(offsets[-1]))
    return ImageCache(Path(f"/proc/{os.getpid()}/fd/{file}"), offsets, images, _file=file)


def _on_disk(path: Path, offsets: NDArray[np.int64], images: int) -> ImageCache:
    """A file that takes room on the disk as far as it is written; it appears with its whole length."""
    if not path.exists() or path.stat().st_size != offsets[-1]:
        made = path.with_name(f"{path.name}.{os.getpid()}{_SUFFIX}")
        with made.open("wb") as file:
            file.truncate(int(offsets[-1]))
        made.replace(path)
    return ImageCache(path, offsets, images)


def _remove_others(folder: Path, boot: str) -> None:
    """Remove what was kept before the machine was started again."""
    for path in folder.glob(f"*{_SUFFIX}"):
        if boot not in path.name:
            path.unlink(missing_ok=True)
