"""Every Parquet schema: ground truth, detections and timings, written from numpy arrays and read into them.

    ground_truth.parquet    a row a box: image, file, class, x1, y1, x2, y2, crowd, area; an image without boxes is one
                            row without the rest; `thumbnail` (JPEG), `width` and `height` in an image's first row,
                            where the image lies in no file
    detections.parquet      a row a detection: image, class, score, x1, y1, x2, y2
    samples.parquet         a row a timing: variant, pass, repeat, round, index, image, images, seconds

Boxes are corners in pixels of the file, areas in pixels², times in seconds. `harness.trial` and `harness.analysis` meet
here: the one gives arrays, the other takes them. Owns columns, their types and what makes a file unreadable. Where the
files lie is `harness.store.paths`' business, what the numbers mean that of `harness.analysis`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.data.thumbnail import Thumbnail
from harness.store.arrays import StoredDetections, StoredGroundTruth, StoredTimings
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

_BOX = ("x1", "y1", "x2", "y2")
_KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "text": lambda kind: (
        (kind.value_type if pa.types.is_dictionary(kind) else kind) in {pa.string(), pa.large_string()}
    ),
    "numbers": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "whole numbers": pa.types.is_integer,
    "true or false": pa.types.is_boolean,
}
_GROUND_TRUTH = {
    "image": "text",
    "class": "text",
    **dict.fromkeys(_BOX, "numbers"),
    "crowd": "true or false",
    "area": "numbers",
}
_DETECTIONS = {"image": "text", "class": "text", **dict.fromkeys(("score", *_BOX), "numbers")}
_TIMINGS = {"pass": "text", **dict.fromkeys(("round", "image", "images"), "whole numbers"), "seconds": "numbers"}
_TIMINGS |= {"variant": "text", "repeat": "whole numbers"}
# What a number must lie between: far beyond what can be measured, and small enough to compute with.
_RANGES = {
    **dict.fromkeys(_BOX, (-1e9, 1e9)),
    "area": (0, 1e18),
    "score": (0, 1),
    **dict.fromkeys(("round", "image", "repeat"), (0, 10**9)),
    "images": (1, 10**9),
    "seconds": (1e-12, 1e9),
}
_SINCE_0_2 = {"area", "variant", "repeat"}  # columns that older files do not have
_MAX_PER_CLASS = 100  # detections of one class in one image that COCO's metrics look at


class UnreadableError(ValueError):
    """A stored table is not what it must be."""


def write_ground_truth(truth: StoredGroundTruth, thumbnails: Mapping[int, Thumbnail]) -> memoryview:
    """The bytes of ground_truth.parquet.

    Args:
        thumbnails: small copies of images that lie in no file, by the image's number.
    """
    counts = np.diff(truth.offsets)
    images = np.repeat(np.arange(len(truth.images)), np.maximum(counts, 1))  # an image without boxes has a row too
    boxed = counts[images] > 0
    first = np.append(True, images[1:] != images[:-1]) if len(images) else np.zeros(0, dtype=np.bool_)
    small = [
        thumbnails.get(image) if is_first else None for image, is_first in zip(images.tolist(), first, strict=True)
    ]
    columns = {
        "image": _text([truth.images[image] for image in images]),
        "file": _text([truth.files[image] for image in images]),
        "thumbnail": pa.array([one.jpeg if one else None for one in small], pa.binary()),
        "width": pa.array([one.width if one else None for one in small], pa.int32()),
        "height": pa.array([one.height if one else None for one in small], pa.int32()),
        "class": _text(_spread([truth.class_names[number] for number in truth.classes], boxed)),
        **{name: pa.array(_spread(truth.boxes[:, side], boxed), pa.float32()) for side, name in enumerate(_BOX)},
        "crowd": pa.array(_spread(truth.crowds.tolist(), boxed), pa.bool_()),
        "area": pa.array(_spread(truth.areas, boxed), pa.float32()),
    }
    return _parquet(pa.table(columns))


def read_ground_truth(data: bytes, class_names: Sequence[str]) -> StoredGroundTruth:
    """From the bytes of ground_truth.parquet, or of the truths.parquet of version 0.2.

    Args:
        class_names: every class that the detector knows, in the order of its numbers.

    Raises:
        UnreadableError: it is not such a file, or it names a class that the detector does not know.
    """
    table = _table(data, _GROUND_TRUTH, of_boxes=("class", *_BOX, "crowd", "area"))
    rows, names = _numbers(table["image"])
    order = np.argsort(rows, kind="stable")
    _, first = np.unique(rows, return_index=True)
    boxed = order[~np.asarray(table["class"].is_null())[order]]
    numbers = {name: number for number, name in enumerate(class_names)}
    boxes = _boxes(table)[boxed]
    return StoredGroundTruth(
        class_names=tuple(class_names),
        images=tuple(names),
        files=tuple(table["file"].take(first).to_pylist()) if "file" in table.column_names else (None,) * len(names),
        offsets=np.concatenate(([0], np.cumsum(np.bincount(rows[boxed], minlength=len(names))))).astype(np.int64),
        boxes=boxes,
        classes=_classes(table, numbers, boxed),
        crowds=table["crowd"].to_numpy(zero_copy_only=False)[boxed].astype(np.bool_),
        areas=_floats(table, "area")[boxed]
        if "area" in table.column_names
        else np.ptp(boxes.reshape(-1, 2, 2), 1).prod(1),
    )


def read_thumbnails(data: bytes) -> dict[str, Thumbnail]:
    """The thumbnails in ground_truth.parquet, by image name.

    Raises:
        UnreadableError: it is not such a file.
    """
    names = ["image", "thumbnail", "width", "height"]
    try:
        rows = pq.read_table(io.BytesIO(data), columns=names, filters=pc.field("thumbnail").is_valid()).to_pylist()
    except (OSError, ValueError) as error:
        raise UnreadableError(str(error)) from None
    return {row["image"]: Thumbnail(jpeg=row["thumbnail"], width=row["width"], height=row["height"]) for row in rows}


def write_detections(detections: StoredDetections, images: Sequence[str], class_names: Sequence[str]) -> memoryview:
    """The bytes of detections.parquet, in the order given.

    Args:
        images: every evaluated image's name, which `detections.images` number.
        class_names: the detector's classes, which `detections.classes` number.
    """
    columns = {
        "image": _text([images[image] for image in detections.images]),
        "class": _text([class_names[number] for number in detections.classes]),
        "score": pa.array(detections.scores, pa.float32()),
        **{name: pa.array(detections.boxes[:, side], pa.float32()) for side, name in enumerate(_BOX)},
    }
    return _parquet(pa.table(columns))


def read_detections(data: bytes, truth: StoredGroundTruth) -> StoredDetections:
    """From the bytes of detections.parquet, the best 100 of each class in each image.

    Raises:
        UnreadableError: it is not such a file, or names an image or a class that the ground truth does not have.
    """
    table = _table(data, _DETECTIONS)
    row_of = {name: row for row, name in enumerate(truth.images)}
    numbers = {name: number for number, name in enumerate(truth.class_names)}
    own, names = _numbers(table["image"])
    try:
        images = np.array([row_of[name] for name in names], dtype=np.int64)[own] if len(own) else own
    except KeyError as error:
        raise UnreadableError(f"detections in an image that has no ground truth: {error}") from None
    scores, boxes = _floats(table, "score"), _boxes(table)
    classes = _classes(table, numbers, np.arange(len(scores)))
    order = np.lexsort((-scores, images))
    detections = StoredDetections(
        images=images[order], classes=classes[order], scores=scores[order], boxes=boxes[order]
    )
    return detections.take(_ranks(detections) < _MAX_PER_CLASS)


def read_all_detections(data: bytes) -> tuple[StoredDetections, tuple[str, ...], tuple[str, ...]]:
    """From the bytes of detections.parquet, every detection in the order of the file.

    Returns:
        The detections, and the names of the images and of the classes that they number.

    Raises:
        UnreadableError: it is not such a file.
    """
    table = _table(data, _DETECTIONS)
    images, image_names = _numbers(table["image"])
    classes, class_names = _numbers(table["class"])
    detections = StoredDetections(images=images, classes=classes, scores=_floats(table, "score"), boxes=_boxes(table))
    return detections, tuple(image_names), tuple(class_names)


def write_timings(timings: Mapping[str, StoredTimings]) -> memoryview:
    """The bytes of samples.parquet, one variant after the other.

    Args:
        timings: by variant; `AS_TRAINED` for the model as it was trained.
    """
    groups = list(timings.values())
    names = [name for variant in groups for name in variant.passes.tolist()]
    columns = {
        "variant": _text([variant for variant, group in timings.items() for _ in range(len(group))]),
        "pass": _text(names),
        "repeat": _joined([group.repeats for group in groups], pa.int64()),
        "round": _joined([group.rounds for group in groups], pa.int64()),
        "index": _joined([np.arange(len(group)) for group in groups], pa.int64()),
        "image": _joined([group.images for group in groups], pa.int64()),
        "images": _joined([group.counts for group in groups], pa.int64()),
        "seconds": _joined([group.seconds for group in groups], pa.float64()),
    }
    return _parquet(pa.table(columns))


def concatenate_timings(tables: Sequence[memoryview]) -> memoryview:
    """Several files of timings as one."""
    return _parquet(pa.concat_tables([pq.read_table(pa.BufferReader(table)) for table in tables]).unify_dictionaries())


def read_timings(data: bytes) -> dict[str, StoredTimings]:
    """From the bytes of samples.parquet, by variant; version 0.1 timed only the model as it was trained.

    Raises:
        UnreadableError: it is not such a file.
    """
    table = _table(data, _TIMINGS)
    count = len(table)
    variants = np.array(table["variant"].to_pylist() if "variant" in table.column_names else [AS_TRAINED] * count)
    repeats = _integers(table, "repeat") if "repeat" in table.column_names else np.zeros(count, dtype=np.int64)
    passes = np.array(table["pass"].to_pylist(), dtype=np.str_)
    rounds, images, counts = (_integers(table, name) for name in ("round", "image", "images"))
    seconds = _floats(table, "seconds")
    return {
        str(variant): StoredTimings(
            passes=passes[rows],
            repeats=repeats[rows],
            rounds=rounds[rows],
            images=images[rows],
            counts=counts[rows],
            seconds=seconds[rows],
        )
        for variant in dict.fromkeys(variants.tolist())
        for rows in (np.flatnonzero(variants == variant),)
    }


def _text(values: Sequence[str | None]) -> pa.DictionaryArray:
    return pa.array(values, pa.string()).dictionary_encode()


def _spread(values: Sequence[Any] | NDArray[Any], boxed: NDArray[np.bool_]) -> list[Any]:
    """The values in the rows that hold a box, None in the others."""
    remaining = iter(values.tolist() if isinstance(values, np.ndarray) else values)
    return [next(remaining) if holds_box else None for holds_box in boxed]


def _joined(columns: Sequence[NDArray[np.generic]], kind: pa.DataType) -> pa.Array:
    return pa.array(np.concatenate(columns) if columns else [], kind)


def _parquet(table: pa.Table) -> memoryview:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getbuffer()


def _table(data: bytes, columns: Mapping[str, str], *, of_boxes: Sequence[str] = ()) -> pa.Table:
    """Read a file and see that its columns are there, of their kinds, and hold a possible value in each row.

    Args:
        columns: the kind of each column.
        of_boxes: columns that are empty in the row of an image without boxes.

    Raises:
        UnreadableError: they are not.
    """
    try:
        table = pq.read_table(io.BytesIO(data))
    except (OSError, ValueError, pa.ArrowException) as error:  # ArrowInvalid is a ValueError
        raise UnreadableError(str(error)) from None
    missing = [name for name in columns if name not in {*table.column_names, *_SINCE_0_2}]
    if missing:
        raise UnreadableError(f"no column {', '.join(missing)}")
    for name, kind in columns.items():
        if name not in table.column_names:
            continue
        column = table[name]
        if not _KINDS[kind](column.type):
            raise UnreadableError(f"the column {name}: expected {kind}, got {column.type}")
        empty = column.is_null()
        if pc.any(pc.xor(empty, table["class"].is_null()) if name in of_boxes else empty).as_py():
            raise UnreadableError(f"the column {name}: a value is missing")
        if pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise UnreadableError(f"the column {name}: a value is not finite")
        if kind in {"numbers", "whole numbers"}:
            _check_range(name, column)
    return table


def _check_range(name: str, column: pa.ChunkedArray) -> None:
    """Refuse a column with a number that cannot be.

    Raises:
        UnreadableError: it has one.
    """
    found = pc.min_max(column)
    low, high = _RANGES[name]
    for value in (found["min"].as_py(), found["max"].as_py()):
        if value is not None and not low <= value <= high:
            raise UnreadableError(f"the column {name}: {value:g} is not between {low:g} and {high:g}")


def _numbers(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Each value's number, and the values, in the order of first occurrence."""
    encoded = column.combine_chunks()
    if not hasattr(encoded, "indices"):
        encoded = encoded.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    values = encoded.dictionary.to_pylist()
    used, first, compact = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[compact], [values[code] for code in used[order]]


def _classes(table: pa.Table, numbers: dict[str, int], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """The class number of each of these rows."""
    own, names = _numbers(table["class"].take(rows))
    unknown = sorted(map(str, set(names) - set(numbers)))
    if unknown:
        raise UnreadableError(f"a class that the record does not name: {', '.join(unknown)}")
    return np.array([numbers[name] for name in names], dtype=np.int64)[own] if names else own


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def _integers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.int64)


def _boxes(table: pa.Table) -> NDArray[np.float64]:
    return np.stack([_floats(table, name) for name in _BOX], axis=1)


def _ranks(detections: StoredDetections) -> NDArray[np.int64]:
    """Of each detection the number of better ones of its class in its image."""
    order = np.lexsort((np.arange(len(detections)), detections.classes, detections.images))
    images, classes = detections.images[order], detections.classes[order]
    new = (images[1:] != images[:-1]) | (classes[1:] != classes[:-1])
    starts = np.flatnonzero(np.append(len(order) > 0, new))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return ranks
