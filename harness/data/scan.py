"""Scan the image files of a dataset, compare them between splits, and report what is wrong with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.data import images
from harness.data.image_folder import ImageFolder
from harness.data.problems import Findings, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from harness.data.images import ImageInfo, KnownHeaders
    from harness.data.loaded import LoadedSplit
    from harness.data.raw import RawAnnotations

Depth = Literal["labels", "headers", "pixels"]

_SIDEWAYS_HINT = "the declared size is that of the file before EXIF turns it upright"


@dataclass(slots=True, kw_only=True)
class ImageScanner:
    """Finds and reads the images of one split after another, and adds what is wrong with them to `findings`.

    Attributes:
        depth: how much of each image is read (see `harness.data.load.load`).
        within: a folder that symbolic links may not leave if the images lie in it.
        workers: the number of processes.
        progress: called with the number of scanned images and `total`.
        findings: receives the problems.
        total: the number of images in all splits.
        headers: what is known of image files already.
    """

    depth: Depth
    within: Path | None
    workers: int
    progress: Callable[[int, int], None]
    findings: Findings
    total: int
    headers: KnownHeaders | None = None
    _done: int = 0
    _folders: dict[Path, ImageFolder] = field(default_factory=dict)

    def folder(self, root: Path) -> ImageFolder:
        """Return the folder that finds images below `root`; the same one each time."""
        inside = self.within is not None and root.is_relative_to(self.within)
        return self._folders.setdefault(root, ImageFolder(root, self.within if inside else None))

    def scan(
        self, raw: RawAnnotations, usable: NDArray[np.bool_], root: Path
    ) -> tuple[list[str | None], list[ImageInfo | None]]:
        """Return the path and the properties of each image, and clear `usable` for those that cannot be used.

        Args:
            raw: the annotations that name the images.
            usable: bool [I], modified in place.
            root: the folder that image names are relative to.
        """
        folder = self.folder(root)
        paths: list[str | None] = [None] * len(raw.names)
        declared = raw.sizes[:, 0] > 0
        for row, name in enumerate(raw.names):
            if self.depth == "labels" and declared[row]:
                continue
            lookup = folder.find(name)
            paths[row] = lookup.path
            if lookup.code and (self.depth != "labels" or lookup.code == "path_escapes_root"):
                self.findings.add(lookup.code, raw.image_place(row, lookup.detail))
                usable[row] &= lookup.path is not None
        rows = [row for row, path in enumerate(paths) if path is not None]
        done = self._done
        scanned = images.scan_images(
            [path for path in paths if path is not None],
            decode=self.depth == "pixels",
            workers=self.workers,
            progress=lambda count, _all: self.progress(done + count, self.total),
            headers=self.headers,
        )
        self._done += len(raw.names)
        infos: list[ImageInfo | None] = [None] * len(paths)
        for row, info in zip(rows, scanned, strict=True):
            infos[row] = info
            if self.depth != "labels":
                self._add_findings(raw, row, paths[row] or "", info)
                usable[row] &= info.problem is None
        return paths, infos

    def _add_findings(self, raw: RawAnnotations, row: int, path: str, info: ImageInfo) -> None:
        place = raw.image_place(row)
        image, name = place.image, raw.names[row]

        def add(code: str, detail: str) -> None:
            self.findings.add(code, Place(file=path, image=image if image is not None else name, detail=detail))

        if info.problem is not None:
            add("unreadable_image", info.problem)
            return
        width, height = raw.sizes[row].tolist()
        if width and (width, height) != (info.width, info.height):
            detail = f"declared {width} × {height}, is {info.width} × {info.height}"
            if (height, width) == (info.width, info.height) and info.orientation > 1:
                detail += f"; {_SIDEWAYS_HINT}"
            self.findings.add("size_mismatch", raw.image_place(row, detail))
        if info.orientation > 1:
            add("exif_rotated", f"orientation {info.orientation}")
        if info.truncated:
            add("corrupt_tail", "")
        if info.dark:
            add("dark_image", "")


def find_leaks(splits: Mapping[str, LoadedSplit], depth: Depth, findings: Findings) -> dict[str, list[int]]:
    """Report images that are in two splits, and return their rows in the earlier of the two.

    Removing those rows leaves the splits that models are evaluated on complete. At the depth `pixels` the decoded
    pixels are compared; otherwise the bytes of files that have the same length and image size.
    """
    first_use: dict[object, tuple[str, str]] = {}
    keys = {name: _content_keys(split, splits, depth) for name, split in splits.items()}
    leaked: dict[str, list[int]] = {name: [] for name in splits}
    for name in reversed(list(splits)):
        split = splits[name]
        for row, key in enumerate(keys[name]):
            if key is None:
                continue
            later, path = first_use.setdefault(key, (name, split.paths[row] or ""))
            if later != name:
                leaked[name].append(row)
                place = split.raw.image_place(int(split.image_rows[row]))
                findings.add(
                    "leakage",
                    Place(file=split.paths[row] or "", image=place.image, detail=f"in {name}; in {later}: {path}"),
                )
    return leaked


def _content_keys(split: LoadedSplit, splits: Mapping[str, LoadedSplit], depth: Depth) -> list[object]:
    """Return a key for each image that is equal for equal images; None where no other split can hold the same one."""
    if depth == "pixels":
        return [info.digest if info else None for info in split.infos]
    elsewhere = {
        (info.length, info.width, info.height)
        for other in splits.values()
        if other is not split
        for info in other.infos
        if info
    }
    return [
        _file_digest(path) if path and info and (info.length, info.width, info.height) in elsewhere else None
        for path, info in zip(split.paths, split.infos, strict=True)
    ]


def _file_digest(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return None  # reading the image reports the error
