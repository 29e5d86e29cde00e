"""The image files of a dataset: found, looked at, compared between splits; what is wrong with them is told."""

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

    from harness.data.images import ImageInfo
    from harness.data.loaded import LoadedSplit
    from harness.data.raw import RawAnnotations

Depth = Literal["labels", "headers", "pixels"]

_SIDEWAYS_HINT = "the declared size is that of the file before EXIF turns it upright"


@dataclass(slots=True, kw_only=True)
class ImageScanner:
    """Looks for images and into them, as deep as asked, and tells what is wrong with them."""

    depth: Depth
    within: Path | None  # what no link may leave, where the images lie in it
    workers: int
    progress: Callable[[int, int], None]
    findings: Findings
    total: int  # images in all splits
    _done: int = 0
    _folders: dict[Path, ImageFolder] = field(default_factory=dict)

    def look(
        self, labels: RawAnnotations, usable: NDArray[np.bool_], root: Path
    ) -> tuple[list[str | None], list[ImageInfo | None]]:
        """Path and picture of each image; clears `usable` where one is not."""
        inside = self.within is not None and root.is_relative_to(self.within)
        folder = self._folders.setdefault(root, ImageFolder(root, self.within if inside else None))
        paths: list[str | None] = [None] * len(labels.names)
        declared = labels.sizes[:, 0] > 0
        for row, name in enumerate(labels.names):
            if self.depth == "labels" and declared[row]:
                continue
            found = folder.find(name)
            paths[row] = found.path
            if found.code and (self.depth != "labels" or found.code == "path_escapes_root"):
                self.findings.add(found.code, labels.image_place(row, found.detail))
                usable[row] &= found.path is not None
        rows = [row for row, path in enumerate(paths) if path is not None]
        done = self._done
        looked = images.look_at(
            [path for path in paths if path is not None],
            decode=self.depth == "pixels",
            workers=self.workers,
            progress=lambda count, _all: self.progress(done + count, self.total),
        )
        self._done += len(labels.names)
        pictures: list[ImageInfo | None] = [None] * len(paths)
        for row, picture in zip(rows, looked, strict=True):
            pictures[row] = picture
            if self.depth != "labels":
                self._tell(labels, row, paths[row] or "", picture)
                usable[row] &= picture.problem is None
        return paths, pictures

    def _tell(self, labels: RawAnnotations, row: int, path: str, picture: ImageInfo) -> None:
        place = labels.image_place(row)
        image, name = place.image, labels.names[row]

        def add(code: str, detail: str) -> None:
            self.findings.add(code, Place(file=path, image=image if image is not None else name, detail=detail))

        if picture.problem is not None:
            add("unreadable_image", picture.problem)
            return
        width, height = labels.sizes[row].tolist()
        if width and (width, height) != (picture.width, picture.height):
            detail = f"declared {width} × {height}, is {picture.width} × {picture.height}"
            if (height, width) == (picture.width, picture.height) and picture.orientation > 1:
                detail += f"; {_SIDEWAYS_HINT}"
            self.findings.add("size_mismatch", labels.image_place(row, detail))
        if picture.orientation > 1:
            add("exif_rotated", f"orientation {picture.orientation}")
        if picture.cut:
            add("corrupt_tail", "")


def find_leaks(parts: Mapping[str, LoadedSplit], depth: Depth, findings: Findings) -> dict[str, list[int]]:
    """Tell of images that stand in two splits; their numbers in the earlier one: what is measured on stays whole.

    With pixels the decoded picture is compared; with headers alone files of the same length and size, byte by byte.
    """
    seen: dict[object, tuple[str, str]] = {}
    keys = {name: _contents(part, parts, depth) for name, part in parts.items()}
    drop: dict[str, list[int]] = {name: [] for name in parts}
    for name in reversed(list(parts)):
        part = parts[name]
        for row, key in enumerate(keys[name]):
            if key is None:
                continue
            other, path = seen.setdefault(key, (name, part.paths[row] or ""))
            if other != name:
                drop[name].append(row)
                place = part.labels.image_place(int(part.image_rows[row]))
                findings.add(
                    "leakage",
                    Place(file=part.paths[row] or "", image=place.image, detail=f"in {name}; in {other}: {path}"),
                )
    return drop


def _contents(part: LoadedSplit, parts: Mapping[str, LoadedSplit], depth: Depth) -> list[object]:
    """What is equal for equal images; None for those that have no equal in another split for sure."""
    if depth == "pixels":
        return [picture.digest if picture else None for picture in part.pictures]
    elsewhere = {
        (picture.length, picture.width, picture.height)
        for other in parts.values()
        if other is not part
        for picture in other.pictures
        if picture
    }
    return [
        _file_digest(path)
        if path and picture and (picture.length, picture.width, picture.height) in elsewhere
        else None
        for path, picture in zip(part.paths, part.pictures, strict=True)
    ]


def _file_digest(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return None  # whatever ails it is told when it is read
