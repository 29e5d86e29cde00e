"""From a dataset's files to its splits: find the labels, read them, look at the images, judge the boxes, divide.

The parent calls this before the night and the child in its trial, so that both see the same images and boxes. What is
wrong is collected, never raised; what is wrong is left out, and whether that may be is the caller's decision.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.data import boxes, images
from harness.data.annotations import from_columns
from harness.data.formats import FORMATS
from harness.data.formats.reading import UnreadableError
from harness.data.images import ImageFolder, Picture
from harness.data.problems import Findings, Place, Problem
from harness.data.sources import find_sources
from harness.data.split import divide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.formats.reading import Source
    from harness.data.labels import Labels
    from harness.suite.spec import FilesDataset

Depth = Literal["labels", "headers", "pixels"]

_SIDEWAYS_HINT = "the declared size is that of the file before EXIF turns it upright"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One split: what is left of it, and where each row came from.

    Attributes:
        labels: as read, the bad ones included.
        folder: what file names are relative to.
        image_rows: [I], row of `labels` of each image in `annotations`.
        box_rows: [N], row of `labels` of each box.
        paths: [I], each image's file; None where it was not looked for.
        pictures: [I], what was seen of it, likewise.
    """

    labels: Labels
    folder: Path
    annotations: Annotations
    image_rows: NDArray[np.intp]
    box_rows: NDArray[np.intp]
    paths: tuple[str | None, ...]
    pictures: tuple[Picture | None, ...]

    def take(self, rows: NDArray[np.intp]) -> Part:
        """Only these images, ascending."""
        annotations, box_rows = self.annotations.take(rows)
        return replace(
            self,
            annotations=annotations,
            image_rows=self.image_rows[rows],
            box_rows=self.box_rows[box_rows],
            paths=tuple(self.paths[row] for row in rows),
            pictures=tuple(self.pictures[row] for row in rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A dataset as read: its splits, and all that was found wrong with it."""

    format: str
    parts: Mapping[str, Part]
    findings: Findings

    def fatal(self, on_bad_data: str | None) -> tuple[Problem, ...]:
        """What forbids to train on it: every error, or with `skip` only that a split is empty."""
        errors = self.findings.problems("error")
        return tuple(p for p in errors if on_bad_data != "skip" or p.code == "empty_split" or not self.parts)

    def skipped(self) -> dict[str, int]:
        """How many entries were left out, by code."""
        return {problem.code: problem.count for problem in self.findings.problems("error")}

    def fingerprint(self) -> str:
        """sha256 over every label, and every image's name and size in bytes; not over where they lie."""
        digest = hashlib.sha256()
        for name, part in self.parts.items():
            digest.update(f"{name} {part.annotations.fingerprint()}".encode())
            digest.update(" ".join(str(picture.length) for picture in part.pictures if picture).encode())
        return digest.hexdigest()


def load(
    dataset: FilesDataset,
    *,
    depth: Depth,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Loaded:
    """Read a dataset.

    Args:
        depth: `labels` opens images only where no size is declared, and misses none; `headers` opens every one;
            `pixels` decodes every one.
        workers: processes that look at images.
        progress: told how many images were looked at, of how many.

    Raises:
        DataError: no labels were found where the dataset says.
    """
    findings = Findings()
    try:
        sources = find_sources(dataset)
    except UnreadableError as error:
        findings.add("unreadable_annotation", _place(error, dataset.path))
        return Loaded(format=dataset.format, parts={}, findings=findings)
    read = {name: labels for name, source in sources.items() if (labels := _read(source, findings)) is not None}
    class_names = _common_classes(dataset.classes, read)
    looker = _Looker(depth=depth, workers=workers, progress=progress, findings=findings)
    looker.expect(sum(len(labels.names) for labels in read.values()))
    parts = {name: _part(labels, sources[name], name, class_names, looker, findings) for name, labels in read.items()}
    if dataset.split is not None and "all" in parts:
        whole = parts["all"]
        parts = {name: whole.take(rows) for name, rows in divide(whole.annotations, dataset.split).items()}
    if depth != "labels":
        leaks = _leaks(parts, depth, findings)
        if dataset.on_bad_data == "skip":
            parts = {
                name: part.take(np.delete(np.arange(len(part.paths)), leaks[name])) for name, part in parts.items()
            }
    for name in sources if dataset.split is None else parts:
        if name not in parts or not len(parts[name].annotations) or not class_names:
            source = sources.get(name) or sources["all"]
            detail = name if class_names else f"{name}: no boxes, and no list of classes"
            findings.add("empty_split", Place(file=str(source.annotations), detail=detail))
    return Loaded(format=next(iter(sources.values())).format, parts=parts, findings=findings)


def _read(source: Source, findings: Findings) -> Labels | None:
    try:
        return FORMATS[source.format].read(source, findings)
    except UnreadableError as error:
        findings.add("unreadable_annotation", _place(error, source.annotations))
        return None


def _place(error: UnreadableError, file: Path | None) -> Place:
    return Place(file=str(error.file or file or ""), line=error.line, detail=error.detail)


def _common_classes(given: Sequence[str] | None, read: Mapping[str, Labels]) -> tuple[str, ...]:
    """The suite's; else those that train's file lists; else all that any box has, by name."""
    if given:
        return tuple(given)
    first = next(iter(read.values()), None)
    if first is None or first.declared:
        return first.class_names if first else ()
    return tuple(sorted(set(itertools.chain.from_iterable(labels.class_names for labels in read.values()))))


def _part(
    labels: Labels, source: Source, split: str, class_names: Sequence[str], looker: _Looker, findings: Findings
) -> Part:
    number_of = {name: number for number, name in enumerate(class_names)}
    numbers = np.array([number_of.get(name, -1) for name in labels.class_names] or [-1], dtype=np.int64)
    classes = numbers[labels.labels]
    strangers = np.flatnonzero(classes < 0)
    findings.add_many(
        "unknown_class",
        len(strangers),
        (labels.box_place(row, labels.class_names[labels.labels[row]]) for row in map(int, strangers)),
    )
    usable = _once(labels, findings)
    root = labels.images or guess_folder(source.annotations, labels.names, split)
    paths, pictures = looker.look(labels, usable, root)
    sizes = labels.sizes.copy()
    for row, picture in enumerate(pictures):
        if picture is not None and picture.width:
            sizes[row] = picture.width, picture.height
    box_rows, corners = boxes.sound(labels, sizes, findings)
    kept = (classes[box_rows] >= 0) & usable[labels.owners[box_rows]]
    box_rows, corners = box_rows[kept], corners[kept]
    image_rows = np.array(sorted(np.flatnonzero(usable).tolist(), key=labels.names.__getitem__), dtype=np.intp)
    place_of = np.zeros(len(usable), dtype=np.int64)
    place_of[image_rows] = np.arange(len(image_rows))
    owners = place_of[labels.owners[box_rows]]
    order = np.argsort(owners, kind="stable")
    box_rows, corners, owners = box_rows[order], corners[order], owners[order]
    given = labels.areas[box_rows]
    own = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    annotations = from_columns(
        class_names=tuple(class_names),
        file_names=tuple(labels.names[row] for row in image_rows),
        sizes=sizes[image_rows],
        image_of_box=owners,
        boxes=corners.astype(np.float32),
        labels=classes[box_rows],
        crowds=labels.crowds[box_rows],
        areas=np.where(np.isfinite(given), given, own).astype(np.float32),
    )
    return Part(
        labels=labels,
        folder=root,
        annotations=annotations,
        image_rows=image_rows,
        box_rows=box_rows,
        paths=tuple(paths[row] for row in image_rows),
        pictures=tuple(pictures[row] for row in image_rows),
    )


def _once(labels: Labels, findings: Findings) -> NDArray[np.bool_]:
    """Which images are described once; of one that several entries describe, nobody knows which is right."""
    rows_of: dict[str, list[int]] = {}
    if len(set(labels.names)) == len(labels.names):
        return np.ones(len(labels.names), dtype=np.bool_)
    for row, name in enumerate(labels.names):
        rows_of.setdefault(name, []).append(row)
    usable = np.ones(len(labels.names), dtype=np.bool_)
    for rows in rows_of.values():
        if len(rows) > 1:
            usable[rows] = False
            findings.add("duplicate_image_id", *(labels.image_place(row, "described before") for row in rows[1:]))
    return usable


@dataclass(slots=True, kw_only=True)
class _Looker:
    """Looks for images and into them, as deep as asked, and tells what is wrong with them."""

    depth: Depth
    workers: int
    progress: Callable[[int, int], None]
    findings: Findings
    _done: int = 0
    _all: int = 0
    _folders: dict[Path, ImageFolder] = field(default_factory=dict)

    def expect(self, count: int) -> None:
        """How many images there are in all splits."""
        self._all = count

    def look(
        self, labels: Labels, usable: NDArray[np.bool_], root: Path
    ) -> tuple[list[str | None], list[Picture | None]]:
        """Path and picture of each image; clears `usable` where one is not."""
        folder = self._folders.setdefault(root, ImageFolder(root))
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
            progress=lambda count, _all: self.progress(done + count, self._all),
        )
        self._done += len(labels.names)
        pictures: list[Picture | None] = [None] * len(paths)
        for row, picture in zip(rows, looked, strict=True):
            pictures[row] = picture
            if self.depth != "labels":
                self._tell(labels, row, paths[row] or "", picture)
                usable[row] &= picture.problem is None
        return paths, pictures

    def _tell(self, labels: Labels, row: int, path: str, picture: Picture) -> None:
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


def guess_folder(annotations: Path, names: Sequence[str], split: str) -> Path:
    """The folder that image names are relative to: of those around the labels the one that has the most of them."""
    base = annotations if annotations.is_dir() else annotations.parent
    words = [split, "valid", annotations.stem.removeprefix("instances_"), base.name]
    around = [base, base.parent]
    candidates = [
        *(near / inner for near in around for inner in ("", "images", "JPEGImages", "img", "imgs")),
        *(near / inner / word for near in around for inner in ("", "images") for word in words),
    ]
    sample = names[:: max(1, len(names) // 20)]
    folders = [ImageFolder(folder) for folder in candidates if folder.is_dir()]
    present = [sum(folder.find(name).path is not None for name in sample) for folder in folders]
    existing = [folder for folder in candidates if folder.is_dir()]
    return existing[int(np.argmax(present))] if any(present) else base


def _leaks(parts: Mapping[str, Part], depth: Depth, findings: Findings) -> dict[str, list[int]]:
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


def _contents(part: Part, parts: Mapping[str, Part], depth: Depth) -> list[object]:
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
