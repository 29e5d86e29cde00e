"""COCO JSON (https://cocodataset.org/#format-data).

Category ids need not be contiguous: classes are numbered in the order of their ids. Segmentations, captions and all
other fields are skipped.
"""

from __future__ import annotations

import gc
import itertools
import math
import mmap
import os
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import numpy as np

from harness.data.formats.reading import (
    MAX_BYTES,
    Source,
    UnreadableError,
    add_broken_files,
    check_size,
    decode_json,
    files_under,
    group_by_split,
    has_json_key,
    read_bytes,
)
from harness.data.formats.recognise import format_of
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

T = TypeVar("T")

_Id = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
_Side = Annotated[float, msgspec.Meta(ge=0, lt=2**31)]  # some tools write 640.0
_SUFFIX = frozenset({".json"})
_MAX_UNREADABLE = 10_000  # unreadable entries of one list after which the whole file is refused
_DENSE = 20  # ids are dense if their range is at most so many times their number
_NO_ID = -(2**63)


class _Image(msgspec.Struct, gc=False):
    id: _Id
    file_name: str
    width: _Side | None = None
    height: _Side | None = None


class _Category(msgspec.Struct, gc=False):
    id: _Id
    name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: _Id
    category_id: _Id
    bbox: tuple[float, float, float, float]
    id: _Id = _NO_ID
    area: float | None = None
    iscrowd: int | bool | None = 0


class _File(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = msgspec.field(default_factory=list)


class _LooseAnnotation(_Annotation):
    """An annotation whose box may hold null, which stands for a NaN in the file."""

    bbox: tuple[float | None, float | None, float | None, float | None]  # type: ignore[assignment]


class _LooseFile(msgspec.Struct):
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = msgspec.field(default_factory=list)


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that they or their folders name after splits.

    If files are called `instances_*`, as COCO's own are, only those are used.
    """
    if os.path.isfile(path):
        return {"all": Source(format="coco", annotations=path)} if _is_coco(path) else {}
    present = [path / name for name in files_under(path, _SUFFIX)]
    files = [file for file in present if _is_coco(file)]
    official = [file for file in files if file.name.startswith("instances_")]
    splits = group_by_split(path, official or add_broken_files(files, present, path), single=True)
    return {name: Source(format="coco", annotations=file) for name, file in splits.items()}


def _is_coco(path: Path) -> bool:
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
        columns = _columns(_decode(source.annotations, findings), str(source.annotations), findings)
    finally:
        if gc_was_enabled:
            gc.enable()
    c = columns
    owners, has_image = _positions(c.image_ids, c.images)
    labels, has_class = _positions(c.class_ids, c.classes)
    repeated_annotation, repeated_image = np.zeros(len(c.numbers), dtype=np.bool_), _is_repeated(c.images)
    repeated_annotation[c.identified] = _is_repeated(c.numbers[c.identified])

    def report(code: str, bad: NDArray[np.bool_], detail: Callable[[int], str]) -> None:
        rows = np.flatnonzero(bad).tolist()
        places = (
            Place(file=c.path, image=int(c.image_ids[row]), annotation=int(c.numbers[row]), detail=detail(row))
            for row in rows
        )
        findings.add_many(code, len(rows), places)

    report("unknown_image_id", ~has_image, lambda row: f"image_id {c.image_ids[row]}")
    report(
        "unknown_class", has_image & ~has_class, lambda row: f"{c.names[owners[row]]}: category_id {c.class_ids[row]}"
    )
    report("duplicate_annotation_id", repeated_annotation, lambda row: f"id {c.numbers[row]} is used before")
    rows = np.flatnonzero(repeated_image).tolist()
    places = (
        Place(file=c.path, image=int(c.images[row]), detail=f"{c.names[row]}: its id is used before") for row in rows
    )
    findings.add_many("duplicate_image_id", len(rows), places)
    # If two images have the same id, it is unknown which of them a box belongs to.
    usable = ~np.isin(c.images, c.images[repeated_image]) if rows else np.ones(len(c.names), dtype=np.bool_)
    row_of = np.cumsum(usable) - 1
    usable_box = has_image & has_class & ~repeated_annotation
    usable_box[usable_box] &= usable[owners[usable_box]]
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
        written_as_sizes=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The file's three lists as columns.

    Attributes:
        path: the file.
        images: int64 [I], the images' ids.
        names: [I], the images' file names.
        sizes: int32 [I, 2], (width, height); 0 where the file has none.
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
    images: NDArray[np.int64]
    names: tuple[str, ...]
    sizes: NDArray[np.int32]
    classes: NDArray[np.int64]
    class_names: tuple[str, ...]
    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    numbers: NDArray[np.int64]
    identified: NDArray[np.bool_]
    boxes: NDArray[np.float64]
    crowds: NDArray[np.bool_]
    areas: NDArray[np.float64]


def _columns(file: _File, path: str, findings: Findings) -> _Columns:
    classes, class_names = _classes(path, file.categories, findings)

    def column(entries: Sequence[Any], name: str, kind: Any = np.int64) -> NDArray[Any]:
        return np.fromiter(map(attrgetter(name), entries), dtype=kind, count=len(entries))

    boxes = np.fromiter(itertools.chain.from_iterable(map(attrgetter("bbox"), file.annotations)), dtype=np.float64)
    boxes = boxes.reshape(-1, 4)
    with np.errstate(over="ignore"):  # a value that overflows is reported as not a number later
        boxes[:, 2:] += boxes[:, :2]
    numbers = column(file.annotations, "id")
    identified = numbers != _NO_ID
    return _Columns(
        path=path,
        images=column(file.images, "id"),
        names=tuple(image.file_name for image in file.images),
        sizes=np.array([(image.width or 0, image.height or 0) for image in file.images], dtype=np.int32).reshape(-1, 2),
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


def _decode(path: Path, findings: Findings) -> _File:
    """Decode the file; if it does not match the schema as a whole, decode entry by entry and report every bad one."""
    check_size(path, MAX_BYTES)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return msgspec.json.decode(mapped, type=_File)  # mapping the file saves a copy of it
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError, ValueError):
        loose = decode_json(read_bytes(path), _LooseFile)

    def entries(key: str, raws: Sequence[msgspec.Raw], entry_type: type[T]) -> list[T]:
        decoder, decoded, bad = msgspec.json.Decoder(entry_type), [], 0
        for index, raw in enumerate(raws):
            try:
                decoded.append(decoder.decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                ids = _entry_ids(raw)
                detail = f"{key}[{index}]: {str(error).replace('`$.', '`')}"
                place = Place(
                    file=str(path),
                    image=ids.get("image_id", ids.get("id") if key == "images" else None),
                    annotation=ids.get("id", index) if key == "annotations" else None,
                    detail=detail,
                )
                findings.add("unreadable_annotation", place)
                bad += 1
                if bad > _MAX_UNREADABLE:
                    raise UnreadableError(f"more than {_MAX_UNREADABLE:,} of its {key} cannot be read") from None
        return decoded

    file = _File(
        images=entries("images", loose.images, _Image),
        categories=entries("categories", loose.categories, _Category),
    )
    for annotation in entries("annotations", loose.annotations, _LooseAnnotation):
        first, second, third, fourth = (math.nan if side is None else side for side in annotation.bbox)
        annotation.bbox = first, second, third, fourth
        file.annotations.append(annotation)
    return file


def _entry_ids(raw: msgspec.Raw) -> dict[str, Any]:
    """Return the integer ids of an entry that does not match the schema."""
    try:
        entry = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    fields = entry if isinstance(entry, dict) else {}
    return {key: fields[key] for key in ("id", "image_id") if type(fields.get(key)) is int}


def _classes(path: str, categories: list[_Category], findings: Findings) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the categories' ids in ascending order, and their names.

    The first category with a repeated id counts. Two ids may have the same name.
    """
    name_of: dict[int, str] = {}
    for category in categories:
        if category.id in name_of or not category.name.strip():
            detail = f"category {category.id} ({category.name!r}): each id once, no name empty"
            findings.add("unreadable_annotation", Place(file=path, detail=detail))
        else:
            name_of[category.id] = category.name
    ids = sorted(name_of)
    return np.array(ids, dtype=np.int64), tuple(name_of[number] for number in ids)


def _positions(wanted_ids: NDArray[np.int64], ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the position of each wanted id in `ids`, and whether it is there."""
    if not len(ids) or not len(wanted_ids):
        return np.zeros(len(wanted_ids), dtype=np.int64), np.zeros(len(wanted_ids), dtype=np.bool_)
    lowest, highest = int(ids.min()), int(ids.max())
    if highest - lowest < _DENSE * (len(ids) + 1000):  # a lookup table, if the ids are close together
        table = np.full(highest - lowest + 1, -1, dtype=np.int64)
        table[ids - lowest] = np.arange(len(ids))
        positions = table[np.clip(wanted_ids, lowest, highest) - lowest]
    else:
        order = np.argsort(ids, kind="stable")
        positions = order[np.minimum(np.searchsorted(ids[order], wanted_ids), len(ids) - 1)]
    return positions, ids[positions] == wanted_ids


def _is_repeated(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return True for each value that occurs earlier in the array."""
    if (values[1:] > values[:-1]).all():
        return np.zeros(len(values), dtype=np.bool_)
    repeated = np.ones(len(values), dtype=np.bool_)
    repeated[np.unique(values, return_index=True)[1]] = False
    return repeated
