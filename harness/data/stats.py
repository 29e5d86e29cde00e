"""Statistics of a split's images and boxes, for `harness data stats`, the record and the report.

Works on annotations only and opens no file.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.data.annotations import Annotations

_SMALL, _MEDIUM = 32**2, 96**2  # pixels², COCO's bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Minimum, median and maximum of a quantity; None where there is nothing to measure."""

    min: float | None
    median: float | None
    max: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStatistics:
    """The statistics of one split.

    Attributes:
        images: the number of images.
        images_without_boxes: the number of images without boxes.
        boxes: the number of boxes, without crowd regions.
        crowds: the number of crowd regions, which are neither trained on nor evaluated.
        boxes_per_class: the number of boxes of every class, by the class's name.
        box_sizes: the number of boxes that COCO calls small (area below 32² pixels), medium (below 96²) and large;
            `unknown` counts boxes in fractions of an image whose size is unknown.
        boxes_per_image: the range of the number of boxes in an image.
        image_width: the range of the widths in pixels of the images whose size is known.
        image_height: the range of their heights in pixels.
    """

    images: int
    images_without_boxes: int
    boxes: int
    crowds: int
    boxes_per_class: Mapping[str, int]
    box_sizes: Mapping[str, int]
    boxes_per_image: Spread
    image_width: Spread
    image_height: Spread


def describe(annotations: Annotations) -> SplitStatistics:
    """Compute the statistics of one split."""
    plain = ~annotations.crowds
    owners = np.repeat(np.arange(len(annotations)), np.diff(annotations.offsets))[plain]
    per_image = np.bincount(owners, minlength=len(annotations))
    per_class = np.bincount(annotations.labels[plain], minlength=len(annotations.class_names))
    size_known = annotations.sizes[:, 0] > 0
    # If the image's size is unknown the box may still be in pixels; in fractions of the image no value exceeds 1.
    areas = annotations.areas[plain]
    unknown = ~size_known[owners] & (annotations.boxes[plain].max(axis=1, initial=0) <= 1)
    small, medium = (areas < _SMALL) & ~unknown, (areas >= _SMALL) & (areas < _MEDIUM) & ~unknown
    sizes = {
        "small": int(small.sum()),
        "medium": int(medium.sum()),
        "large": int((~unknown & ~small & ~medium).sum()),
        "unknown": int(unknown.sum()),
    }
    return SplitStatistics(
        images=len(annotations),
        images_without_boxes=int((per_image == 0).sum()),
        boxes=int(plain.sum()),
        crowds=int(annotations.crowds.sum()),
        boxes_per_class=dict(zip(annotations.class_names, per_class.tolist(), strict=True)),
        box_sizes={name: count for name, count in sizes.items() if count or name != "unknown"},
        boxes_per_image=_spread(per_image),
        image_width=_spread(annotations.sizes[size_known, 0]),
        image_height=_spread(annotations.sizes[size_known, 1]),
    )


def _spread(values: NDArray[np.integer]) -> Spread:
    if not len(values):
        return Spread(min=None, median=None, max=None)
    return Spread(min=float(values.min()), median=float(np.median(values)), max=float(values.max()))
