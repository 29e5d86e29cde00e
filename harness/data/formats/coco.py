"""COCO JSON (https://cocodataset.org/#format-data).

Category ids need not be contiguous: classes are numbered in the order of their ids. Segmentations, captions and
whatever else stands in the file are skipped unread.
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
    by_split,
    check_size,
    decode_json,
    files_under,
    mentions,
    read_bytes,
    with_broken,
)
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
_MAX_BAD = 10_000  # entries that are told one by one
_DENSE = 20  # numbers for each id that has one
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
    """As `_Annotation`, but a number may be null: a NaN in the file."""

    bbox: tuple[float | None, float | None, float | None, float | None]  # type: ignore[assignment]


class _LooseFile(msgspec.Struct):
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = msgspec.field(default_factory=list)


def find(path: Path) -> dict[str, Source]:
    """One file, or files (or their folders) named after splits; of COCO's own, `instances_*` alone."""
    if os.path.isfile(path):
        return {"all": Source(format="coco", annotations=path)} if _looks(path) else {}
    present = [path / name for name in files_under(path, _SUFFIX)]
    files = [file for file in present if _looks(file)]
    official = [file for file in files if file.name.startswith("instances_")]
    found = by_split(path, official or with_broken(files, present, path), single=True)
    return {name: Source(format="coco", annotations=file) for name, file in found.items()}


def _looks(path: Path) -> bool:
    return mentions(path, "image_id", "file_name") or (mentions(path, "images") and mentions(path, "categories"))


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one COCO file.

    Raises:
        UnreadableError: it is not COCO JSON at all.
    """
    collecting = gc.isenabled()
    gc.disable()  # millions of new objects, none of them garbage: searching them in vain takes longer than reading
    try:
        columns = _columns(_decode(source.annotations, findings), str(source.annotations), findings)
    finally:
        if collecting:
            gc.enable()
    c = columns
    owners, has_image = _positions(c.image_ids, c.images)
    labels, has_class = _positions(c.class_ids, c.classes)
    again, twice = np.zeros(len(c.numbers), dtype=np.bool_), _again(c.images)
    again[c.identified] = _again(c.numbers[c.identified])

    def tell(code: str, bad: NDArray[np.bool_], detail: Callable[[int], str]) -> None:
        rows = np.flatnonzero(bad).tolist()
        places = (
            Place(file=c.path, image=int(c.image_ids[row]), annotation=int(c.numbers[row]), detail=detail(row))
            for row in rows
        )
        findings.add_many(code, len(rows), places)

    tell("unknown_image_id", ~has_image, lambda row: f"image_id {c.image_ids[row]}")
    tell("unknown_class", has_image & ~has_class, lambda row: f"{c.names[owners[row]]}: category_id {c.class_ids[row]}")
    tell("duplicate_annotation_id", again, lambda row: f"id {c.numbers[row]} stands there before")
    rows = np.flatnonzero(twice).tolist()
    places = (
        Place(file=c.path, image=int(c.images[r]), detail=f"{c.names[r]}: its id stands there before") for r in rows
    )
    findings.add_many("duplicate_image_id", len(rows), places)
    # Under an id that two images share, nobody knows whose box is whose.
    usable = ~np.isin(c.images, c.images[twice]) if rows else np.ones(len(c.names), dtype=np.bool_)
    row_of = np.cumsum(usable) - 1
    good = has_image & has_class & ~again
    good[good] &= usable[owners[good]]
    return RawAnnotations(
        class_names=c.class_names,
        declared=True,
        images=source.images,
        names=tuple(itertools.compress(c.names, usable)),
        files=(c.path,),
        box_files=(c.path,),
        sizes=c.sizes[usable],
        image_numbers=c.images[usable],
        owners=row_of[owners[good]],
        boxes=c.boxes[good],
        shares=np.zeros(int(good.sum()), dtype=np.bool_),
        labels=labels[good],
        crowds=c.crowds[good],
        areas=c.areas[good],
        numbers=c.numbers[good],
        numbered_by="id",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The file's three lists; a box that has no id is numbered by its place."""

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
    with np.errstate(over="ignore"):  # what overflows is told as no number
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
    """The typed file; where it does not fit as a whole, entry by entry, so that every bad one is told."""
    check_size(path, MAX_BYTES)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return msgspec.json.decode(mapped, type=_File)  # mapped, not read: it saves a copy of all of it
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError, ValueError):
        loose = decode_json(read_bytes(path), _LooseFile)

    def entries(key: str, raws: Sequence[msgspec.Raw], wanted: type[T]) -> list[T]:
        decoder, found, bad = msgspec.json.Decoder(wanted), [], 0
        for index, raw in enumerate(raws):
            try:
                found.append(decoder.decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                known = _identity(raw)
                detail = f"{key}[{index}]: {str(error).replace('`$.', '`')}"
                place = Place(
                    file=str(path),
                    image=known.get("image_id", known.get("id") if key == "images" else None),
                    annotation=known.get("id", index) if key == "annotations" else None,
                    detail=detail,
                )
                findings.add("unreadable_annotation", place)
                bad += 1
                if bad > _MAX_BAD:
                    raise UnreadableError(f"more than {_MAX_BAD:,} of its {key} cannot be read") from None
        return found

    file = _File(
        images=entries("images", loose.images, _Image),
        categories=entries("categories", loose.categories, _Category),
    )
    for annotation in entries("annotations", loose.annotations, _LooseAnnotation):
        first, second, third, fourth = (math.nan if side is None else side for side in annotation.bbox)
        annotation.bbox = first, second, third, fourth
        file.annotations.append(annotation)
    return file


def _identity(raw: msgspec.Raw) -> dict[str, Any]:
    """The ids of an entry that is no good otherwise."""
    try:
        entry = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    known = entry if isinstance(entry, dict) else {}
    return {key: known[key] for key in ("id", "image_id") if type(known.get(key)) is int}


def _classes(path: str, categories: list[_Category], findings: Findings) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Ids in ascending order, and their names; of a repeated id the first counts. Two ids may have one name."""
    kept: dict[int, str] = {}
    for category in categories:
        if category.id in kept or not category.name.strip():
            detail = f"category {category.id} ({category.name!r}): each id once, no name empty"
            findings.add("unreadable_annotation", Place(file=path, detail=detail))
        else:
            kept[category.id] = category.name
    ids = sorted(kept)
    return np.array(ids, dtype=np.int64), tuple(kept[number] for number in ids)


def _positions(wanted: NDArray[np.int64], known: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each wanted id stands among the known ones, and whether it does."""
    if not len(known) or not len(wanted):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    lowest, highest = int(known.min()), int(known.max())
    if highest - lowest < _DENSE * (len(known) + 1000):  # a table, where ids are not far apart
        table = np.full(highest - lowest + 1, -1, dtype=np.int64)
        table[known - lowest] = np.arange(len(known))
        at = table[np.clip(wanted, lowest, highest) - lowest]
    else:
        order = np.argsort(known, kind="stable")
        at = order[np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)]
    return at, known[at] == wanted


def _again(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for each value that stood there before."""
    if (values[1:] > values[:-1]).all():
        return np.zeros(len(values), dtype=np.bool_)
    again = np.ones(len(values), dtype=np.bool_)
    again[np.unique(values, return_index=True)[1]] = False
    return again
