"""From a dataset's files to its splits: find the labels, read them, look at the images, judge the boxes, divide.

The parent calls this before the night and the child in its trial, so that both see the same images and boxes. What is
wrong is collected, never raised; what is wrong is left out, and whether that may be is the caller's decision.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.data import boxes
from harness.data.annotations import from_sorted
from harness.data.folder import guess_folder
from harness.data.formats import FORMATS
from harness.data.formats.reading import EscapeError, UnreadableError
from harness.data.problems import Findings, Place, Problem
from harness.data.sources import find_sources
from harness.data.split import divide
from harness.data.survey import Depth, Looker, find_leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.formats.reading import Source
    from harness.data.images import Picture
    from harness.data.labels import Labels
    from harness.suite.spec import FilesDataset, SplitRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One split: what is left of it, and where each row came from.

    Attributes:
        labels: as read, the bad ones included.
        source: the file or folder of the labels.
        folder: what file names are relative to.
        image_rows: [I], row of `labels` of each image in `annotations`.
        box_rows: [N], row of `labels` of each box.
        paths: [I], each image's file; None where it was not looked for.
        pictures: [I], what was seen of it, likewise.
    """

    labels: Labels
    source: Path
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
        if on_bad_data == "skip" and self.parts:
            return tuple(problem for problem in errors if problem.code == "empty_split")
        return errors

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
        MachineError: a process that looked at images was killed.
    """
    findings = Findings()
    try:
        sources = find_sources(dataset)
    except UnreadableError as error:
        _tell(findings, error, dataset.path)
        return Loaded(format=dataset.format, parts={}, findings=findings)
    read = {name: labels for name, source in sources.items() if (labels := _read(source, findings)) is not None}
    class_names = _common_classes(dataset.classes, read)
    within = dataset.path if dataset.path and os.path.isdir(dataset.path) else None
    looker = Looker(
        depth=depth,
        within=within,
        workers=workers,
        progress=progress,
        findings=findings,
        total=sum(len(labels.names) for labels in read.values()),
    )
    parts = {name: _part(labels, sources[name], name, class_names, looker, findings) for name, labels in read.items()}
    if dataset.split is not None and "all" in parts:
        try:
            parts = _divided(parts["all"], dataset.split)
        except UnreadableError as error:
            _tell(findings, error, parts["all"].source)
    if depth != "labels":
        leaks = find_leaks(parts, depth, findings)
        if dataset.on_bad_data == "skip":
            rows = {name: np.delete(np.arange(len(part.paths)), leaks[name]) for name, part in parts.items()}
            parts = {name: part.take(rows[name]) for name, part in parts.items()}
    expected = {name: source.annotations for name, source in sources.items()}
    if dataset.split is not None:
        expected = dict.fromkeys(parts, sources["all"].annotations)
    for name, file in expected.items():
        why = _empty(parts.get(name), learned=name in {"train", "all"}, counted=depth != "labels")
        if why:
            findings.add("empty_split", Place(file=str(file), detail=f"{name}: {why}"))
    return Loaded(format=next(iter(sources.values())).format, parts=parts, findings=findings)


def _divided(whole: Part, rule: SplitRule) -> dict[str, Part]:
    return {name: whole.take(rows) for name, rows in divide(whole.annotations, rule).items()}


def _empty(part: Part | None, *, learned: bool, counted: bool) -> str | None:
    """Why there is nothing in a split to learn from or to judge by, or None."""
    if part is None or not len(part.annotations):
        return "no image"
    if not part.annotations.class_names:
        return "no boxes, and no list of classes"
    if learned and counted and not len(part.annotations.boxes):
        return "not one box"
    return None


def _read(source: Source, findings: Findings) -> Labels | None:
    try:
        return FORMATS[source.format].read(source, findings)
    except UnreadableError as error:
        _tell(findings, error, source.annotations)
        return None


def _tell(findings: Findings, error: UnreadableError, file: Path | None) -> None:
    code = "path_escapes_root" if isinstance(error, EscapeError) else "unreadable_annotation"
    findings.add(code, Place(file=str(error.file or file or ""), line=error.line, detail=error.detail))


def _common_classes(given: Sequence[str] | None, read: Mapping[str, Labels]) -> tuple[str, ...]:
    """The suite's; else those that train's file lists; else all that any box has, by name."""
    if given:
        return tuple(given)
    first = next(iter(read.values()), None)
    if first is None or first.declared:
        return tuple(dict.fromkeys(first.class_names)) if first else ()
    return tuple(sorted(set(itertools.chain.from_iterable(labels.class_names for labels in read.values()))))


def _part(
    labels: Labels, source: Source, split: str, class_names: Sequence[str], looker: Looker, findings: Findings
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
    labels = _plain_names(labels)
    root = labels.images or guess_folder(source.annotations, labels.names, split)
    usable = np.ones(len(labels.names), dtype=np.bool_)
    paths, pictures = looker.look(labels, usable, root)
    _once(labels, paths, usable, findings)
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
    annotations = from_sorted(
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
        source=source.annotations,
        folder=root,
        annotations=annotations,
        image_rows=image_rows,
        box_rows=box_rows,
        paths=tuple(paths[row] for row in image_rows),
        pictures=tuple(pictures[row] for row in image_rows),
    )


def _plain_names(labels: Labels) -> Labels:
    """`./a.jpg` and `a.jpg` are one image."""
    if not any("./" in name or "//" in name for name in labels.names):
        return labels
    return replace(labels, names=tuple(posixpath.normpath(name) for name in labels.names))


def _once(labels: Labels, paths: Sequence[str | None], usable: NDArray[np.bool_], findings: Findings) -> None:
    """Clear `usable` where several entries describe one image: nobody knows which is right."""
    keys = [path or name for path, name in zip(paths, labels.names, strict=True)]
    if len(set(keys)) == len(keys):
        return
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    for rows in rows_of.values():
        if len(rows) > 1:
            usable[rows] = False
            findings.add("duplicate_image_id", *(labels.image_place(row, "described before") for row in rows[1:]))
