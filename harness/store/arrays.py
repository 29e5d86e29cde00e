"""What a trial stores about its evaluated split, as arrays over all images: ground truth, detections and timings.

Owns the arrays' shapes and units; `harness.store.tables` writes them to Parquet and reads them back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGroundTruth:
    """The ground truth of a whole evaluated split. Boxes are sorted by image.

    Attributes:
        class_names: every class that the detector knows; a class number indexes it.
        images: every evaluated image's name, in the order of evaluation.
        files: where each image lay; None for one that was drawn, or came from the user's own code.
        offsets: int64 [I + 1]; the boxes of image i are rows offsets[i] to offsets[i + 1].
        boxes: float64 [G, 4], xyxy, pixels.
        classes: int64 [G].
        crowds: bool [G]; a crowd region neither rewards nor punishes.
        areas: float64 [G], pixels²; of a COCO dataset the area of the outline, else of the box.
    """

    class_names: tuple[str, ...]
    images: tuple[str, ...]
    files: tuple[str | None, ...]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]
    areas: NDArray[np.float64]

    @property
    def image_of(self) -> NDArray[np.int64]:
        """int64 [G]: the image of each box."""
        return np.repeat(np.arange(len(self.images)), np.diff(self.offsets))

    def positives(self) -> NDArray[np.int64]:
        """int64 [K]: how many boxes of each class there are to find."""
        return np.bincount(self.classes[~self.crowds], minlength=len(self.class_names)).astype(np.int64)

    def fingerprint(self) -> str:
        """Equal for equal images and boxes in the same order, wherever the files lay."""
        digest = hashlib.sha256("\0".join((*self.class_names, "", *self.images)).encode("utf-8", "backslashreplace"))
        for column in (self.offsets, self.boxes, self.classes, self.crowds):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDetections:
    """The detections of a whole split; those that were read are sorted by image, then by falling score.

    Attributes:
        images: int64 [D], numbers of `StoredGroundTruth.images`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTimings:
    """Every timing of one variant, in the order in which they were taken.

    Attributes:
        passes: str [T], the pass that each belongs to, such as `latency` or `throughput`.
        repeats: int64 [T], 0 for the first time that the pass was taken.
        rounds: int64 [T].
        images: int64 [T], the number of the first image that was timed, in the split.
        counts: int64 [T], how many images were timed together.
        seconds: float64 [T].
    """

    passes: NDArray[np.str_]
    repeats: NDArray[np.int64]
    rounds: NDArray[np.int64]
    images: NDArray[np.int64]
    counts: NDArray[np.int64]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.seconds)
