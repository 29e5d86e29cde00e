"""The in-memory form of a labelled split: numpy columns, the same for every annotation format.

Owns the table of images and the table of boxes. Does not own pixels (`harness.data.open` reads those), nor the
background class: class numbers here start at 0, and only `harness.trial` shifts them to make room for a background.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """Every image and every box of one split. The boxes are sorted by image.

    Attributes:
        class_names: the name of each class, without background; a class number is an index into it.
        file_names: [I], each image's file name relative to the split's image folder.
        sizes: int32 [I, 2], (width, height) in pixels.
        offsets: int64 [I + 1]; the boxes of image i are rows offsets[i] to offsets[i + 1].
        boxes: float32 [N, 4], xyxy, pixels.
        labels: int64 [N], 0-based class numbers.
        crowds: bool [N]; a crowd region is not trained on, and detections inside it are ignored in evaluation.
        areas: float32 [N], pixels²; they decide whether COCO counts a box as small, medium or large.
    """

    class_names: tuple[str, ...]
    file_names: tuple[str, ...]
    sizes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowds: NDArray[np.bool_]
    areas: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.file_names)

    def rows(self, index: int) -> slice:
        """Return the slice of the box columns that belongs to image `index`."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def first(self, count: int) -> Annotations:
        """Return the first `count` images and their boxes."""
        return self.select(np.arange(min(count, len(self))))[0]

    def select(self, images: NDArray[np.intp]) -> tuple[Annotations, NDArray[np.intp]]:
        """Return the annotations of `images`, in that order, and the rows that their boxes have in this table."""
        counts = np.diff(self.offsets)[images]
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[images] - offsets[:-1], counts)
        selection = Annotations(
            class_names=self.class_names,
            file_names=tuple(self.file_names[image] for image in images),
            sizes=self.sizes[images],
            offsets=offsets,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            crowds=self.crowds[rows],
            areas=self.areas[rows],
        )
        return selection, rows

    def fingerprint(self) -> str:
        """Return the sha256 of all columns as hex; it does not depend on where the files lie."""
        names = "\0".join((*self.class_names, "", *self.file_names))
        digest = hashlib.sha256(names.encode("utf-8", "backslashreplace"))
        for column in (self.sizes, self.offsets, self.boxes, self.labels, self.crowds, self.areas):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def from_sorted(
    *,
    class_names: tuple[str, ...],
    file_names: tuple[str, ...],
    sizes: NDArray[np.int32],
    image_of_box: NDArray[np.int64],
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    crowds: NDArray[np.bool_],
    areas: NDArray[np.float32],
) -> Annotations:
    """Build annotations from box columns that are already sorted by image.

    Args:
        image_of_box: int64 [N], ascending: the number of the image that each box belongs to.
    """
    counts = np.bincount(image_of_box, minlength=len(file_names))
    return Annotations(
        class_names=class_names,
        file_names=file_names,
        sizes=sizes,
        offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        boxes=boxes,
        labels=labels,
        crowds=crowds,
        areas=areas,
    )
