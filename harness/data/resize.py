"""What the detector's resize makes of images and boxes, and of which of them it leaves nothing.

Owns the rule of `ImageSize` in numbers, as torchvision's GeneralizedRCNNTransform applies it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from harness.data.loaded import LoadedDataset
    from harness.suite.schema import ImageSize

_MIN_SIDE = 1e-2  # pixels; a thinner box may have no area left in float32, which ends the training step


def resized(sizes: NDArray[np.integer], image_size: ImageSize) -> NDArray[np.int64]:
    """Return the sizes after the resize, int64 [I, 2], from those before it, [I, 2] in pixels; sides are cut off."""
    sides = sizes.astype(np.float64)
    scale = np.minimum(image_size.min / sides.min(axis=1), image_size.max / sides.max(axis=1))
    after: NDArray[np.int64] = np.floor(sides * scale[:, None]).astype(np.int64)
    return after


def lost(
    sizes: NDArray[np.integer], boxes: NDArray[np.floating], owners: NDArray[np.integer], image_size: ImageSize
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find what is lost in the resize.

    Args:
        sizes: [I, 2], (width, height) in pixels.
        boxes: [N, 4], xyxy, pixels.
        owners: [N], the image of each box.
        image_size: the detector's resize.

    Returns:
        The images of which a side is shorter than a pixel afterwards; and, in other images, the boxes that are thinner
        than 0.01 pixels, or were before.
    """
    after = resized(sizes, image_size)
    empty = np.asarray((after < 1).any(axis=1))
    sides = (boxes[:, 2:] - boxes[:, :2]) * np.minimum(after / sizes, 1.0)[owners]
    return np.flatnonzero(empty), np.flatnonzero((sides < _MIN_SIDE).any(axis=1) & ~empty[owners])


def image_text(size: NDArray[np.integer], image_size: ImageSize) -> str:
    """Say what becomes of an image of this size, (width, height)."""
    (width, height), ((new_width, new_height),) = size.tolist(), resized(size[None], image_size).tolist()
    return f"{width} × {height} becomes {new_width} × {new_height} at {size_text(image_size)}"


def size_text(image_size: ImageSize) -> str:
    """Return the resize as a suite writes it."""
    return f"image_size: {{min: {image_size.min}, max: {image_size.max}}}"


def add_lost(loaded: LoadedDataset, image_sizes: Iterable[ImageSize]) -> None:
    """Add an error to `loaded.findings` for each image and each box of which a detector's resize leaves nothing."""
    sizes = tuple(image_sizes)
    for split in loaded.splits.values():
        raw, columns = split.raw, split.annotations
        rows = np.flatnonzero(~columns.crowds)
        owners = np.repeat(np.arange(len(columns)), np.diff(columns.offsets))[rows]
        for size in sizes:
            images, boxes = lost(columns.sizes, columns.boxes[rows], owners, size)
            loaded.findings.add_many(
                "image_lost_in_resize",
                len(images),
                (raw.image_place(int(split.image_rows[row]), image_text(columns.sizes[row], size)) for row in images),
            )
            loaded.findings.add_many(
                "box_lost_in_resize",
                len(boxes),
                (
                    raw.box_place(row, f"{raw.box_text(row)} at {size_text(size)}")
                    for row in split.box_rows[rows[boxes]].tolist()
                ),
            )
