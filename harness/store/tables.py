"""Labels and detections as arrays, from what a trial left beside its record."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.data.thumbnail import Thumbnail

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray


from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.trial.evaluate.detect import Detections, GroundTruth
    from harness.trial.inputs.item import Items
    from harness.trial.measure.timing import Sample


_BOX = ("x1", "y1", "x2", "y2")
_MAX_PER_CLASS = 100  # detections of one class in one image that COCO's metrics look at


class UnreadableError(ValueError):
    """Stored labels or detections are not what they must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGroundTruth:
    """The labels of an evaluated split. Boxes are sorted by image.

    Attributes:
        class_names: all that the detector knows; a class number indexes it.
        images: every evaluated image's name, in the order of evaluation.
        files: where each lay; None for one that was drawn, or came from the user's own code.
        offsets: int64 [I + 1]; the boxes of image i are rows offsets[i] to offsets[i + 1].
        boxes: float64 [G, 4], xyxy, pixels.
        classes: int64 [G].
        crowds: bool [G]; a crowd region neither rewards nor punishes.
    """

    class_names: tuple[str, ...]
    images: tuple[str, ...]
    files: tuple[str | None, ...]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]

    @property
    def image_of(self) -> NDArray[np.int64]:
        """int64 [G]: the image of each box."""
        return np.repeat(np.arange(len(self.images)), np.diff(self.offsets))

    def positives(self) -> NDArray[np.int64]:
        """int64 [K]: how many boxes of each class there are to find."""
        return np.bincount(self.classes[~self.crowds], minlength=len(self.class_names)).astype(np.int64)

    def fingerprint(self) -> str:
        """Equal for equal images and labels, in their order, wherever the files lay."""
        digest = hashlib.sha256("\0".join((*self.class_names, "", *self.images)).encode("utf-8", "backslashreplace"))
        for column in (self.offsets, self.boxes, self.classes, self.crowds):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDetections:
    """What a detector found, sorted by image, then by falling score.

    Attributes:
        images: int64 [D], rows of `Labels.images`.
        classes: int64 [D].
        scores: float64 [D].
        boxes: float64 [D, 4], xyxy, pixels.
    """

    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> StoredDetections:
        """Only these rows."""
        return StoredDetections(
            images=self.images[rows], classes=self.classes[rows], scores=self.scores[rows], boxes=self.boxes[rows]
        )


def read_ground_truth(data: bytes, class_names: Sequence[str]) -> StoredGroundTruth:
    """From the bytes of ground_truth.parquet: a row a box; a row without a class is an image without boxes.

    Raises:
        UnreadableError: it is not such a file.
    """
    table = _table(data, ("image", "class", *_BOX, "crowd"))
    rows, names = _numbers(table["image"])
    order = np.argsort(rows, kind="stable")
    _, first = np.unique(rows, return_index=True)
    boxed = order[~np.asarray(table["class"].is_null())[order]]
    known = {name: number for number, name in enumerate(class_names)}
    return StoredGroundTruth(
        class_names=tuple(class_names),
        images=tuple(names),
        files=tuple(table["file"].take(first).to_pylist()) if "file" in table.column_names else (None,) * len(names),
        offsets=np.concatenate(([0], np.cumsum(np.bincount(rows[boxed], minlength=len(names))))).astype(np.int64),
        boxes=_boxes(table)[boxed],
        classes=_classes(table, known, boxed),
        crowds=table["crowd"].to_numpy(zero_copy_only=False)[boxed].astype(np.bool_),
    )


def read_detections(data: bytes, labels: StoredGroundTruth) -> StoredDetections:
    """From the bytes of detections.parquet, of the best 100 of each class in each image.

    Raises:
        UnreadableError: it is not such a file, or names an image or a class that the labels do not have.
    """
    table = _table(data, ("image", "class", "score", *_BOX))
    place = {name: row for row, name in enumerate(labels.images)}
    known = {name: number for number, name in enumerate(labels.class_names)}
    own, names = _numbers(table["image"])
    try:
        images = np.array([place[name] for name in names], dtype=np.int64)[own] if len(own) else own
    except KeyError as error:
        raise UnreadableError(f"detections in an image that has no labels: {error}") from None
    scores, boxes = table["score"].to_numpy(zero_copy_only=False).astype(np.float64), _boxes(table)
    if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
        raise UnreadableError("a score or a box is not finite")
    classes = _classes(table, known, np.arange(len(scores)))
    order = np.lexsort((-scores, images))
    found = StoredDetections(images=images[order], classes=classes[order], scores=scores[order], boxes=boxes[order])
    return found.take(_ranks(found) < _MAX_PER_CLASS)


def read_thumbnails(data: bytes) -> dict[str, Thumbnail]:
    """By image name, those that a trial kept in ground_truth.parquet.

    Raises:
        UnreadableError: it is not such a file.
    """
    names = ["image", "thumbnail", "width", "height"]
    try:
        rows = pq.read_table(io.BytesIO(data), columns=names, filters=pc.field("thumbnail").is_valid()).to_pylist()
    except (OSError, ValueError) as error:
        raise UnreadableError(str(error)) from None
    return {row["image"]: Thumbnail(jpeg=row["thumbnail"], width=row["width"], height=row["height"]) for row in rows}


def _table(data: bytes, columns: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(io.BytesIO(data))
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise UnreadableError(str(error)) from None
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise UnreadableError(f"no column {', '.join(missing)}")
    return table


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


def _classes(table: pa.Table, known: dict[str, int], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """The class number of each of these rows."""
    numbers, names = _numbers(table["class"].take(rows))
    unknown = sorted(map(str, set(names) - set(known)))
    if unknown:
        raise UnreadableError(f"a class that the record does not name: {', '.join(unknown)}")
    return np.array([known[name] for name in names], dtype=np.int64)[numbers] if names else numbers


def _boxes(table: pa.Table) -> NDArray[np.float64]:
    return np.stack([table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in _BOX], axis=1)


def _ranks(found: StoredDetections) -> NDArray[np.int64]:
    """Of each detection the number of better ones of its class in its image."""
    order = np.lexsort((np.arange(len(found)), found.classes, found.images))
    images, classes = found.images[order], found.classes[order]
    new = (images[1:] != images[:-1]) | (classes[1:] != classes[:-1])
    starts = np.flatnonzero(np.append(len(order) > 0, new))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return ranks


def write_detections(
    truths: Sequence[GroundTruth], found: Sequence[Detections], class_names: tuple[str, ...]
) -> memoryview:
    """Detections as Parquet: image, class, score, x1, y1, x2, y2 (pixels of the file)."""
    counts = [len(detections.scores) for detections in found]
    boxes = torch.cat([detections.boxes for detections in found]).reshape(-1, 4).numpy()
    images = [truth.name for truth, count in zip(truths, counts, strict=True) for _ in range(count)]
    labels = torch.cat([detections.labels for detections in found]).tolist()
    table = pa.table(
        {
            "image": pa.array(images, pa.string()).dictionary_encode(),
            "class": pa.array([class_names[label - 1] for label in labels], pa.string()).dictionary_encode(),
            "score": torch.cat([detections.scores for detections in found]).numpy(),
            **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
        }
    )
    return _parquet(table)


def write_ground_truth(
    labelled: Sequence[GroundTruth], items: Items, thumbnails: Mapping[int, Thumbnail]
) -> memoryview:
    """Labels as Parquet: image, file, class, x1, y1, x2, y2 (pixels of the file), crowd, area (pixels²).

    One row a box, in the order of evaluation; an image without boxes is a row without the rest. `file` is where the
    image lay, absolute, if it lay in one; of one that did not, its first row may hold `thumbnail` (JPEG), `width` and
    `height`.
    """
    names = ("image", "file", "thumbnail", "width", "height", "class", "x1", "y1", "x2", "y2", "crowd", "area")
    columns: dict[str, list[object]] = {name: [] for name in names}
    for index, truth in enumerate(labelled):
        path = items.path(index)
        file = str(Path(path).absolute()) if path is not None else None
        small = thumbnails.get(index)
        shown = (small.jpeg, small.width, small.height) if small else (None,) * 3
        rows = zip(
            truth.labels.tolist(), truth.boxes.tolist(), truth.crowds.tolist(), truth.areas.tolist(), strict=True
        )
        boxes = [(items.class_names[label - 1], *box, bool(crowd), area) for label, box, crowd, area in rows]
        for number, row in enumerate(boxes or [(None,) * 7]):
            values = (truth.name, file, *(shown if number == 0 else (None,) * 3), *row)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    kinds = dict.fromkeys(("image", "file", "class"), pa.string()) | dict.fromkeys(("width", "height"), pa.int32())
    kinds |= {"thumbnail": pa.binary(), "crowd": pa.bool_()}
    arrays = {name: pa.array(values, kinds.get(name, pa.float32())) for name, values in columns.items()}
    for name in ("image", "file", "class"):
        arrays[name] = arrays[name].dictionary_encode()
    return _parquet(pa.table(arrays))


def write_timings(timings: Mapping[str, Sequence[Sample]]) -> memoryview:
    """Raw timings as Parquet, one row each.

    Columns: variant, pass, repeat (0 the first time), round, index (in the variant's order), image (the first image's
    number in the split), images, seconds.

    Args:
        timings: by variant.
    """
    rows = [(variant, sample) for variant, group in timings.items() for sample in group]
    return _parquet(
        pa.table(
            {
                "variant": pa.array([variant for variant, _ in rows], pa.string()).dictionary_encode(),
                "pass": pa.array([sample.name for _, sample in rows], pa.string()).dictionary_encode(),
                "repeat": pa.array([sample.repeat for _, sample in rows], pa.int64()),
                "round": pa.array([sample.round for _, sample in rows], pa.int64()),
                "index": pa.array(range(len(rows)), pa.int64()),
                "image": pa.array([sample.index for _, sample in rows], pa.int64()),
                "images": pa.array([sample.images for _, sample in rows], pa.int64()),
                "seconds": pa.array([sample.seconds for _, sample in rows], pa.float64()),
            }
        )
    )


def concatenate_timings(tables: Sequence[memoryview]) -> memoryview:
    """Several files of samples as one."""
    return _parquet(pa.concat_tables([pq.read_table(pa.BufferReader(table)) for table in tables]).unify_dictionaries())


def _parquet(table: pa.Table) -> memoryview:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getbuffer()
