"""From a dataset's files to its splits: find the labels, read them, look at the images, judge the boxes, divide.

The parent calls this before the night and the child in its trial, so that both see the same images and boxes. What is
wrong is collected, never raised; what is wrong is left out, and whether that may be is the caller's decision.
"""

from __future__ import annotations

import itertools
import os
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.data import boxes
from harness.data.annotations import from_sorted
from harness.data.discover import find_sources
from harness.data.formats import FORMATS
from harness.data.formats.reading import EscapeError, UnreadableError
from harness.data.image_folder import guess_folder
from harness.data.partition import divide
from harness.data.problems import Findings, Place
from harness.data.scan import Depth, ImageScanner, find_leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.formats.reading import Source
    from harness.data.raw import RawAnnotations
    from harness.suite.schema import FilesDataset, SplitRule
from harness.data.loaded import Loaded, LoadedSplit


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
    looker = ImageScanner(
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


def _divided(whole: LoadedSplit, rule: SplitRule) -> dict[str, LoadedSplit]:
    return {name: whole.take(rows) for name, rows in divide(whole.annotations, rule).items()}


def _empty(part: LoadedSplit | None, *, learned: bool, counted: bool) -> str | None:
    """Why there is nothing in a split to learn from or to judge by, or None."""
    if part is None or not len(part.annotations):
        return "no image"
    if not part.annotations.class_names:
        return "no boxes, and no list of classes"
    if learned and counted and not len(part.annotations.boxes):
        return "not one box"
    return None


def _read(source: Source, findings: Findings) -> RawAnnotations | None:
    try:
        return FORMATS[source.format].read(source, findings)
    except UnreadableError as error:
        _tell(findings, error, source.annotations)
        return None


def _tell(findings: Findings, error: UnreadableError, file: Path | None) -> None:
    code = "path_escapes_root" if isinstance(error, EscapeError) else "unreadable_annotation"
    findings.add(code, Place(file=str(error.file or file or ""), line=error.line, detail=error.detail))


def _common_classes(given: Sequence[str] | None, read: Mapping[str, RawAnnotations]) -> tuple[str, ...]:
    """The suite's; else those that train's file lists; else all that any box has, by name."""
    if given:
        return tuple(given)
    first = next(iter(read.values()), None)
    if first is None or first.declared:
        return tuple(dict.fromkeys(first.class_names)) if first else ()
    return tuple(sorted(set(itertools.chain.from_iterable(labels.class_names for labels in read.values()))))


def _part(
    labels: RawAnnotations,
    source: Source,
    split: str,
    class_names: Sequence[str],
    looker: ImageScanner,
    findings: Findings,
) -> LoadedSplit:
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
    box_rows, corners = boxes.valid_boxes(labels, sizes, findings)
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
    return LoadedSplit(
        labels=labels,
        source=source.annotations,
        folder=root,
        annotations=annotations,
        image_rows=image_rows,
        box_rows=box_rows,
        paths=tuple(paths[row] for row in image_rows),
        pictures=tuple(pictures[row] for row in image_rows),
    )


def _plain_names(labels: RawAnnotations) -> RawAnnotations:
    """`./a.jpg` and `a.jpg` are one image."""
    if not any("./" in name or "//" in name for name in labels.names):
        return labels
    return replace(labels, names=tuple(posixpath.normpath(name) for name in labels.names))


def _once(labels: RawAnnotations, paths: Sequence[str | None], usable: NDArray[np.bool_], findings: Findings) -> None:
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
