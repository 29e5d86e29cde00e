"""What a split holds, in numbers: for `harness data stats`, the record and the report.

Owns counting over annotations alone; no file is opened here.
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
    """One split.

    Attributes:
        boxes: without crowd regions.
        crowds: regions that are neither trained nor judged on.
        boxes_per_class: every class, by name.
        box_sizes: COCO's small (area below 32² pixels), medium (below 96²) and large; `unknown` where neither the image
            nor its size is known.
        image_width: in pixels, of the images whose size is known; likewise `image_height`.
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
    """Count one split."""
    plain = ~annotations.crowds
    owners = np.repeat(np.arange(len(annotations)), np.diff(annotations.offsets))[plain]
    per_image = np.bincount(owners, minlength=len(annotations))
    per_class = np.bincount(annotations.labels[plain], minlength=len(annotations.class_names))
    known = annotations.sizes[:, 0] > 0
    # A box without its image's size may still be in pixels; one in fractions of the image is below one pixel wide.
    areas = annotations.areas[plain]
    unknown = ~known[owners] & (annotations.boxes[plain].max(axis=1, initial=0) <= 1)
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
        image_width=_spread(annotations.sizes[known, 0]),
        image_height=_spread(annotations.sizes[known, 1]),
    )


def _spread(values: NDArray[np.integer]) -> Spread:
    if not len(values):
        return Spread(min=None, median=None, max=None)
    return Spread(min=float(values.min()), median=float(np.median(values)), max=float(values.max()))
