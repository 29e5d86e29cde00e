"""Load a dataset: find its annotations, read them, scan the images, validate the boxes, divide into splits.

The parent process calls this before a run and the child process in its trial, so that both see the same images and
boxes. Problems are collected in `Findings`, not raised, and bad entries are left out. The caller decides whether the
dataset may still be used.
"""

from __future__ import annotations

import itertools
import os
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from harness.data import boxes, units
from harness.data.annotations import from_sorted
from harness.data.discover import SPLITS, find_sources
from harness.data.empty import boxes_in, why_empty
from harness.data.formats import FORMATS
from harness.data.formats.source import UnreadableError
from harness.data.image_root import find_folder
from harness.data.label_names import settle_names
from harness.data.loaded import LoadedDataset, LoadedSplit
from harness.data.partition import divide, group
from harness.data.problems import Findings, Place
from harness.data.scan import Depth, ImageScanner, find_leaks
from harness.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.formats.source import Source
    from harness.data.images import KnownHeaders
    from harness.data.raw import RawAnnotations
    from harness.suite.schema import FilesDataset, SplitRule


def load(
    dataset: FilesDataset,
    *,
    depth: Depth,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    headers: KnownHeaders | None = None,
) -> LoadedDataset:
    """Load a dataset.

    Args:
        dataset: where the files lie, and how to read them.
        depth: `labels` opens an image only if the annotations do not declare its size, and does not report missing
            images; `headers` opens every image; `pixels` also decodes every image.
        workers: the number of processes that scan images.
        progress: called with the number of scanned images and the number of all images.
        headers: what is known of image files already, which are then not opened at the depth `headers`.

    Raises:
        MachineError: a process that scanned images was killed.
    """
    findings = Findings()
    try:
        sources = find_sources(dataset)
    except UnreadableError as error:
        _add_unreadable(findings, error, dataset.path)
        return LoadedDataset(format=dataset.format, splits={}, findings=findings)
    for code, place in itertools.chain.from_iterable(source.problems for source in sources.values()):
        findings.add(code, place)
    sources = {name: source for name, source in sources.items() if not source.absent}
    if not sources:
        return LoadedDataset(format=dataset.format, splits={}, findings=findings)
    raws = {name: raw for name, source in sources.items() if (raw := _read(source, findings)) is not None}
    class_names = _class_names(dataset.classes, raws)
    within = dataset.path if dataset.path and os.path.isdir(dataset.path) else None
    scanner = ImageScanner(
        depth=depth,
        within=within,
        workers=workers,
        progress=progress,
        findings=findings,
        headers=headers,
        total=sum(len(raw.names) for raw in raws.values()),
    )
    splits = {name: _load_split(raw, sources[name], name, class_names, scanner, findings) for name, raw in raws.items()}
    grouping = ""
    whole = splits.get("all")
    stated = whole is not None and bool(whole.raw.splits)
    if whole is not None and dataset.split is not None:
        splits, grouping = _partition(whole, dataset.split, findings)
    elif whole is not None and stated:
        splits = _stated_splits(whole)
    if depth != "labels":
        leaks = find_leaks(splits, depth, findings)
        if dataset.on_bad_data == "skip":
            rows = {name: np.delete(np.arange(len(split.paths)), leaks[name]) for name, split in splits.items()}
            splits = {name: split.select(rows[name]) for name, split in splits.items()}
    for name in splits if stated or dataset.split is not None else sources:
        reason = _why_empty(name, splits.get(name), depth)
        if reason:
            file = sources["all" if "all" in sources else name].annotations
            findings.add("empty_split", Place(file=str(file), detail=f"{reason}{grouping}"))
    return LoadedDataset(format=next(iter(sources.values())).format, splits=splits, findings=findings)


def _partition(whole: LoadedSplit, rule: SplitRule, findings: Findings) -> tuple[dict[str, LoadedSplit], str]:
    """Divide a folder into its splits, and report the images that `group_by` does not match.

    Returns:
        The splits; and, where there are too few groups for each split to have one, words that say so.
    """
    names = whole.annotations.file_names
    groups, alone = group(names, rule.group_by)
    all_alone = len(alone) == len(names)
    allowed = rule.ungrouped == "allow" and not all_alone
    detail = f"not matched by {rule.group_by!r}" + (", which matches no name at all" if all_alone else "")
    findings.add_many(
        "ungrouped_image_allowed" if allowed else "ungrouped_image",
        len(alone),
        (whole.raw.image_place(int(whole.image_rows[row]), detail) for row in alone),
    )
    splits = {name: whole.select(rows) for name, rows in divide(whole.annotations, rule, groups).items()}
    if len(groups) >= len(splits):
        return splits, ""
    images, by = counted(len(names), "image"), f" by {rule.group_by!r}" if rule.group_by else ""
    return splits, f"; {images} in {counted(len(groups), 'group')}{by} cannot fill {len(splits)} splits"


def _stated_splits(whole: LoadedSplit) -> dict[str, LoadedSplit]:
    """Divide a file into the splits that it states for its images."""
    stated = np.array(whole.raw.splits)
    return {name: whole.select(np.flatnonzero(stated[whole.image_rows] == name)) for name in SPLITS if name in stated}


def _why_empty(name: str, split: LoadedSplit | None, depth: Depth) -> str | None:
    """Return why a split cannot be used; at the depth `labels`, boxes need only be there if they name the classes."""
    if split is None:
        return why_empty(name, images=0, boxes=None)
    annotations = split.annotations
    known = depth != "labels" or not annotations.class_names
    return why_empty(name, images=len(annotations), boxes=boxes_in(annotations) if known else None)


def _read(source: Source, findings: Findings) -> RawAnnotations | None:
    try:
        return FORMATS[source.format].read(source, findings)
    except UnreadableError as error:
        _add_unreadable(findings, error, source.annotations)
        return None


def _add_unreadable(findings: Findings, error: UnreadableError, file: Path | None) -> None:
    findings.add(error.code, Place(file=str(error.file or file or ""), line=error.line, detail=error.detail))


def _class_names(configured: Sequence[str] | None, raws: Mapping[str, RawAnnotations]) -> tuple[str, ...]:
    """Return the dataset's classes.

    They are those of the suite; else those that the first split's file lists; else the sorted classes of all boxes.
    Names that look the same are one class, and an empty one is none.
    """
    first = next(iter(raws.values()), None)
    if configured:
        names: Sequence[str] = configured
    elif first is None or first.declared:
        names = first.class_names if first else ()
    else:
        names = sorted(map(_class_name, itertools.chain.from_iterable(raw.class_names for raw in raws.values())))
    return tuple(dict.fromkeys(filter(None, map(_class_name, names))))


def _class_name(name: str) -> str:
    """Return a class's name without what nobody sees: spaces around it, and the Unicode form of its accents."""
    return unicodedata.normalize("NFC", name.strip())


def _class_numbers(raw: RawAnnotations, class_names: Sequence[str], findings: Findings) -> NDArray[np.int64]:
    """Return each box's number in `class_names`, int64 [N]; −1, and an error in `findings`, for an unknown class."""
    number_of = {name: number for number, name in enumerate(class_names)}
    numbers = np.array([number_of.get(_class_name(name), -1) for name in raw.class_names] or [-1], dtype=np.int64)
    classes = numbers[raw.labels]
    unknown = np.flatnonzero(classes < 0)
    findings.add_many(
        "unknown_class",
        len(unknown),
        (
            raw.box_place(row, _class_name(raw.class_names[raw.labels[row]]) or "its class is an empty text")
            for row in map(int, unknown)
        ),
    )
    return classes


def _load_split(
    raw: RawAnnotations,
    source: Source,
    name: str,
    class_names: Sequence[str],
    scanner: ImageScanner,
    findings: Findings,
) -> LoadedSplit:
    """Scan one split's images and keep those images and boxes that can be used, sorted by the images' names."""
    raw, root, rival = find_folder(raw, source.annotations, name, scanner.folder, findings)
    if rival and scanner.depth != "labels":
        detail = f"{root} and {rival} have different images of the same names"
        findings.add("ambiguous_image_folder", Place(file=str(source.annotations), detail=detail))
    raw, usable = settle_names(raw, scanner.folder(root), source.on_name_conflict, findings)
    classes = _class_numbers(raw, class_names, findings)
    paths, infos = scanner.scan(raw, usable, root)
    _exclude_duplicates(raw, paths, usable, findings)
    sizes = raw.sizes.copy()
    for row, info in enumerate(infos):
        if info is not None and info.width:
            sizes[row] = info.width, info.height
    raw = units.as_meant(raw, sizes, file=source.annotations, normalised=source.normalised, findings=findings)
    boxes.tell_corners_from_zero(raw, source.annotations, findings)
    image_rows, box_rows, corners, owners = _usable_boxes(raw, sizes, classes, usable, findings)
    declared_areas = raw.areas[box_rows]
    box_areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    annotations = from_sorted(
        class_names=tuple(class_names),
        file_names=tuple(raw.names[row] for row in image_rows),
        sizes=sizes[image_rows],
        image_of_box=owners,
        boxes=corners.astype(np.float32),
        labels=classes[box_rows],
        crowds=raw.crowds[box_rows],
        areas=np.where(np.isfinite(declared_areas), declared_areas, box_areas).astype(np.float32),
    )
    return LoadedSplit(
        raw=raw,
        source=source.annotations,
        folder=root,
        annotations=annotations,
        image_rows=image_rows,
        box_rows=box_rows,
        paths=tuple(paths[row] for row in image_rows),
        infos=tuple(infos[row] for row in image_rows),
    )


def _usable_boxes(
    raw: RawAnnotations,
    sizes: NDArray[np.int32],
    classes: NDArray[np.int64],
    usable: NDArray[np.bool_],
    findings: Findings,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.int64]]:
    """Find the valid boxes of known class in usable images.

    Returns:
        The rows of the usable images, sorted by name, intp [K]; and of the boxes, image by image, their rows, intp [M],
        their corners in pixels, float64 [M, 4], and the position of each one's image among the K, int64 [M].
    """
    box_rows, corners = boxes.valid_boxes(raw, sizes, findings)
    is_usable = (classes[box_rows] >= 0) & usable[raw.owners[box_rows]]
    box_rows, corners = box_rows[is_usable], corners[is_usable]
    image_rows = np.array(sorted(np.flatnonzero(usable).tolist(), key=raw.names.__getitem__), dtype=np.intp)
    number_of = np.zeros(len(usable), dtype=np.int64)
    number_of[image_rows] = np.arange(len(image_rows))
    owners = number_of[raw.owners[box_rows]]
    order = np.argsort(owners, kind="stable")
    box_rows, corners, owners = box_rows[order], corners[order], owners[order]
    return image_rows, box_rows, corners, owners


def _exclude_duplicates(
    raw: RawAnnotations, paths: Sequence[str | None], usable: NDArray[np.bool_], findings: Findings
) -> None:
    """Clear `usable` for images that several entries describe, as it is unknown which entry is right."""
    keys = [path or name for path, name in zip(paths, raw.names, strict=True)]
    if len(set(keys)) == len(keys):
        return
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    for rows in rows_of.values():
        if len(rows) > 1:
            usable[rows] = False
            findings.add("duplicate_image_id", *(raw.image_place(row, "described before") for row in rows[1:]))
