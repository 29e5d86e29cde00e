"""COCO JSON (https://cocodataset.org/#format-data).

Category ids need not be contiguous: classes are numbered in the order of their ids. A polygon counts where there is no
box; other segmentations, captions and all other fields are skipped. Where each image has the name of its `split`, as
`harness data export` writes it, these are the splits.
"""

from __future__ import annotations

import gc
import itertools
import mmap
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from harness.data.formats.coco_ids import NO_ID, is_repeated, positions_of
from harness.data.formats.coco_json import Category, File, decode_entries
from harness.data.formats.files import MAX_BYTES, check_size
from harness.data.formats.json_text import has_json_key
from harness.data.formats.recognise import format_of
from harness.data.formats.splits import find_files, stated_splits
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.formats.source import Source

_SUFFIX = frozenset({".json"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})  # COCO is one object


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that are named after splits or lie in folders that are.

    If files are called `instances_*`, as COCO's own are, only those are used.
    """
    return find_files(path, "coco", _SUFFIX, _is_coco, preferred="instances_")


def _is_coco(path: Path) -> bool:
    if path.suffix.lower() in _JSON_LINES:
        return False
    has_keys = has_json_key(path, "image_id", "file_name") or (
        has_json_key(path, "images") and has_json_key(path, "categories")
    )
    return has_keys and format_of(path) is None  # such as detections and captions, which have an image_id too


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one COCO file.

    Raises:
        UnreadableError: the file is not COCO JSON.
    """
    gc_was_enabled = gc.isenabled()
    gc.disable()  # searching millions of new objects, none of them garbage, would take longer than reading them
    try:
        columns = _columns(*_decode(source.annotations, findings), str(source.annotations), findings)
    finally:
        if gc_was_enabled:
            gc.enable()
    c = columns
    owners, has_image = positions_of(c.image_ids, c.images)
    labels, has_class = positions_of(c.class_ids, c.classes)
    usable, usable_box = _usable(c, owners, has_image, has_class, findings)
    row_of = np.cumsum(usable) - 1
    return RawAnnotations(
        class_names=c.class_names,
        declared=True,
        images=source.images,
        names=tuple(itertools.compress(c.names, usable)),
        files=(c.path,),
        box_files=(c.path,),
        sizes=c.sizes[usable],
        image_numbers=c.images[usable],
        owners=row_of[owners[usable_box]],
        boxes=c.boxes[usable_box],
        fractional=np.zeros(int(usable_box.sum()), dtype=np.bool_),
        labels=labels[usable_box],
        crowds=c.crowds[usable_box],
        areas=c.areas[usable_box],
        numbers=c.numbers[usable_box],
        numbered_by="id",
        texts=c.texts,
        written_as_sizes=True,
        splits=tuple(itertools.compress(c.splits, usable)),
    )


def _usable(
    c: _Columns,
    owners: NDArray[np.int64],
    has_image: NDArray[np.bool_],
    has_class: NDArray[np.bool_],
    findings: Findings,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether each image, and whether each box, can be used; report the others.

    Args:
        c: the file's lists.
        owners: int64 [N], the position of each box's image.
        has_image: bool [N], whether that image is there.
        has_class: bool [N], whether the box's category is there.
        findings: receives an error for each id that is unknown or used before.
    """
    repeated_annotation, repeated_image = np.zeros(len(c.numbers), dtype=np.bool_), is_repeated(c.images)
    repeated_annotation[c.identified] = is_repeated(c.numbers[c.identified])

    def report(code: str, bad: NDArray[np.bool_], detail: Callable[[int], str]) -> None:
        rows = np.flatnonzero(bad).tolist()
        places = (
            Place(file=c.path, image=c.id(c.image_ids[row]), annotation=c.id(c.numbers[row]), detail=detail(row))
            for row in rows
        )
        findings.add_many(code, len(rows), places)

    report("unknown_image_id", ~has_image, lambda row: f"image_id {c.id(c.image_ids[row])}")
    report(
        "unknown_class",
        has_image & ~has_class,
        lambda row: f"{c.names[owners[row]]}: category_id {c.id(c.class_ids[row])}",
    )
    report("duplicate_annotation_id", repeated_annotation, lambda row: f"id {c.id(c.numbers[row])} is used before")
    rows = np.flatnonzero(repeated_image).tolist()
    places = (
        Place(file=c.path, image=c.id(c.images[row]), detail=f"{c.names[row]}: its id is used before") for row in rows
    )
    findings.add_many("duplicate_image_id", len(rows), places)
    # If two images have the same id, it is unknown which of them a box belongs to.
    usable = ~np.isin(c.images, c.images[repeated_image]) if rows else np.ones(len(c.names), dtype=np.bool_)
    usable_box = has_image & has_class & ~repeated_annotation
    usable_box[usable_box] &= usable[owners[usable_box]]
    return usable, usable_box


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The file's three lists as columns.

    Attributes:
        path: the file.
        texts: the ids that are no whole numbers, by the numbers that stand for them.
        images: int64 [I], the images' ids.
        names: [I], the images' file names.
        sizes: int32 [I, 2], (width, height); 0 where the file has none.
        splits: [I], the images' splits; empty unless the file states one for each of them.
        classes: int64 [C], the categories' ids, ascending.
        class_names: [C], the categories' names.
        image_ids: int64 [N], the id of each box's image.
        class_ids: int64 [N], the id of each box's category.
        numbers: int64 [N], each box's id, or its index in the list if it has no id.
        identified: bool [N], whether the box has an id.
        boxes: float64 [N, 4], xyxy, pixels.
        crowds: bool [N], whether the box is a crowd region.
        areas: float64 [N], pixels²; NaN where the file has none.
    """

    path: str
    texts: dict[int, str]
    images: NDArray[np.int64]
    names: tuple[str, ...]
    sizes: NDArray[np.int32]
    splits: tuple[str, ...]
    classes: NDArray[np.int64]
    class_names: tuple[str, ...]
    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    numbers: NDArray[np.int64]
    identified: NDArray[np.bool_]
    boxes: NDArray[np.float64]
    crowds: NDArray[np.bool_]
    areas: NDArray[np.float64]

    def id(self, number: np.int64) -> int | str:
        """Return an id as the file has it."""
        return self.texts.get(int(number), int(number))


def _columns(file: File, texts: dict[int, str], path: str, findings: Findings) -> _Columns:
    if file.categories is None:
        file.categories = _unnamed(file, texts, path, findings)
    classes, class_names = _classes(path, file.categories, texts, findings)

    def column(entries: Sequence[Any], name: str, kind: Any = np.int64) -> NDArray[Any]:
        return np.fromiter(map(attrgetter(name), entries), dtype=kind, count=len(entries))

    boxes = np.fromiter(itertools.chain.from_iterable(map(attrgetter("bbox"), file.annotations)), dtype=np.float64)
    boxes = boxes.reshape(-1, 4)
    with np.errstate(over="ignore"):  # a value that overflows is reported as not a number later
        boxes[:, 2:] += boxes[:, :2]
    numbers = column(file.annotations, "id")
    identified = numbers != NO_ID
    return _Columns(
        path=path,
        texts=texts,
        images=column(file.images, "id"),
        names=tuple(image.file_name for image in file.images),
        sizes=np.array([(image.width or 0, image.height or 0) for image in file.images], dtype=np.int32).reshape(-1, 2),
        splits=stated_splits([image.split for image in file.images]),
        classes=classes,
        class_names=class_names,
        image_ids=column(file.annotations, "image_id"),
        class_ids=column(file.annotations, "category_id"),
        numbers=np.where(identified, numbers, np.arange(len(numbers))),
        identified=identified,
        boxes=boxes,
        crowds=column(file.annotations, "iscrowd", np.bool_),
        areas=np.array([annotation.area for annotation in file.annotations], dtype=np.float64),  # None becomes NaN
    )


def _decode(path: Path, findings: Findings) -> tuple[File, dict[int, str]]:
    """Decode the file, at once if it keeps to the format's types; return it, and the ids that are text."""
    check_size(path, MAX_BYTES)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return msgspec.json.decode(mapped, type=File), {}  # mapping the file saves a copy of it
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError, ValueError):
        return decode_entries(path, findings)


def _unnamed(file: File, texts: dict[int, str], path: str, findings: Findings) -> list[Category]:
    """Return categories that are named after their ids, and warn of them."""
    ids = sorted({annotation.category_id for annotation in file.annotations})
    names = [texts.get(number, str(number)) for number in ids]
    findings.add("unnamed_classes", Place(file=path, detail=f"no categories; the ids are {', '.join(names)[:200]}"))
    return [Category(id=number, name=name) for number, name in zip(ids, names, strict=True)]


def _classes(
    path: str, categories: list[Category], texts: dict[int, str], findings: Findings
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the categories' ids in ascending order, and their names.

    The first category with a repeated id counts. Two ids may have the same name.
    """
    name_of: dict[int, str] = {}
    for category in categories:
        if category.id in name_of or not category.name.strip():
            detail = f"category {texts.get(category.id, category.id)} ({category.name!r}): each id once, no name empty"
            findings.add("unreadable_annotation", Place(file=path, detail=detail))
        else:
            name_of[category.id] = category.name
    ids = sorted(name_of)
    return np.array(ids, dtype=np.int64), tuple(name_of[number] for number in ids)
