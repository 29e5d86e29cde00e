"""COCO JSON (https://cocodataset.org/#format-data) as columns.

Owns reading and checking one file. Category ids need not be contiguous: classes are numbered in the order of their ids.
Segmentations, captions and whatever else stands in the file are skipped unread.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from harness.data.annotations import Annotations, from_columns
from harness.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_PROBLEMS = 20
_MOST_PIXELS = 2**31  # of a side
_LEAST_SIDE = 1e-2  # pixels inside the image: what is left of a thinner box could be no box at all in float32


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Category(msgspec.Struct):
    id: int
    name: str


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int | bool = 0


class _File(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = msgspec.field(default_factory=list)


def read_coco(path: Path) -> Annotations:
    """Read one COCO file; boxes that cross an image's border are clipped to it.

    Raises:
        DataError: the file is not COCO JSON, or entries contradict each other; every problem, the first 20 in words.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not COCO JSON: {error}") from None
    images, categories = file.images, sorted(file.categories, key=lambda category: category.id)
    rows = {image.id: row for row, image in enumerate(images)}
    classes = {category.id: number for number, category in enumerate(categories)}
    boxes = np.array([annotation.bbox for annotation in file.annotations], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    problems = [*_repeated(file), *_contradictions(file, rows, classes, boxes)]
    if problems:
        more = f"\n… and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise DataError("\n".join(f"{path}: {problem}" for problem in problems[:_MOST_PROBLEMS]) + more)
    sizes = np.array([(image.width, image.height) for image in images], dtype=np.int32).reshape(-1, 2)
    owner = np.array([rows[annotation.image_id] for annotation in file.annotations], dtype=np.int64)
    boxes = np.clip(boxes, 0, np.tile(sizes[owner], 2))
    whole = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return from_columns(
        class_names=tuple(category.name for category in categories),
        file_names=tuple(image.file_name for image in images),
        sizes=sizes,
        image_of_box=owner,
        boxes=boxes.astype(np.float32),
        labels=np.array([classes[annotation.category_id] for annotation in file.annotations], dtype=np.int64),
        crowds=np.array([annotation.iscrowd != 0 for annotation in file.annotations], dtype=np.bool_),
        areas=np.array(
            [box if given.area is None else given.area for given, box in zip(file.annotations, whole, strict=True)],
            dtype=np.float32,
        ),
    )


def _repeated(file: _File) -> list[str]:
    """What must be there, and only once."""
    problems = []
    if not file.images:
        problems.append("no images; an empty split cannot be trained or measured on")
    if not file.categories:
        problems.append("no categories; nothing to detect")
    for what, keys in (
        ("image id", [image.id for image in file.images]),
        ("image file_name", [image.file_name for image in file.images]),
        ("category id", [category.id for category in file.categories]),
        ("category name", [category.name for category in file.categories]),
    ):
        problems.extend(
            f"{what} {key!r} stands there {count} times" for key, count in Counter(keys).items() if count > 1
        )
    return problems


def _contradictions(
    file: _File, rows: dict[int, int], classes: dict[int, int], boxes: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> list[str]:
    """Annotations that name what is not there, and boxes that hold nothing. `boxes`: float64 [N, 4], xyxy."""
    problems = [
        f"images[{index}] ({image.file_name}): width and height must be positive, got {image.width} × {image.height}"
        for index, image in enumerate(file.images)
        if not (0 < image.width < _MOST_PIXELS and 0 < image.height < _MOST_PIXELS)
    ]
    for index, annotation in enumerate(file.annotations):
        where = f"annotations[{index}]"
        row = rows.get(annotation.image_id)
        if row is None:
            problems.append(f"{where}: image_id {annotation.image_id} is not among the images")
            continue
        image = file.images[row]
        where = f"{where} ({image.file_name})"
        if annotation.category_id not in classes:
            known = ", ".join(map(str, sorted(classes)))
            problems.append(f"{where}: category_id {annotation.category_id} is not among the categories ({known})")
        left, top, right, bottom = boxes[index]
        if not (right > left and bottom > top):
            problems.append(f"{where}: bbox {list(annotation.bbox)} has no area; expected [x, y, width, height] > 0")
        elif min(right, image.width) - max(left, 0) < _LEAST_SIDE or (
            min(bottom, image.height) - max(top, 0) < _LEAST_SIDE
        ):
            problems.append(
                f"{where}: bbox {list(annotation.bbox)} lies outside the image of {image.width} × {image.height}"
            )
    return problems
