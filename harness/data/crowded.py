"""Images that hold more objects than detections are counted: what their accuracy cannot show.

COCO's mAP takes the best 100 detections of a class in an image, and a detector gives at most as many of all classes as
the protocol's `detections` says. Objects beyond these count as missed, however good the detector is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.formatting import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

COCO_DETECTIONS = 100  # of a class in an image


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdedImages:
    """The images of a split that hold more objects than `map` can count.

    Attributes:
        images: the number of such images.
        all_images: the number of images of the split.
        objects: the number of objects that no detector can be credited for.
        all_objects: the number of objects of the split.
        largest: the largest number of objects in an image.
        detections: how many detections of an image the protocol keeps.
    """

    images: int
    all_images: int
    objects: int
    all_objects: int
    largest: int
    detections: int

    def __str__(self) -> str:
        verb = "holds" if self.images == 1 else "hold"
        text = (
            f"{self.images:,} of {counted(self.all_images, 'image')} {verb} more objects than mAP counts "
            f"({self.largest:,} at most): whatever is found, {self.objects:,} of "
            f"{counted(self.all_objects, 'object')} count as missed, because COCO takes {COCO_DETECTIONS} detections "
            "of a class in an image"
        )
        if self.detections < self.largest:
            return f"{text} and the protocol keeps {self.detections} in all; raise protocol.detections"
        return f"{text}; map_at_detections counts {self.detections}"


def find_crowded(
    image_of: NDArray[np.int64], classes: NDArray[np.int64], *, images: int, detections: int
) -> CrowdedImages | None:
    """Find the images whose objects cannot all count in `map`; None if there is none.

    Args:
        image_of: int64 [G], the image of each object, from 0. Crowd regions are no objects.
        classes: int64 [G], the class of each object.
        images: the number of images of the split.
        detections: how many detections of an image the protocol keeps.
    """
    if not len(image_of):
        return None
    per_image = np.bincount(image_of, minlength=images)
    n_classes = int(classes.max()) + 1
    pairs, of_class = np.unique(image_of * n_classes + classes, return_counts=True)
    countable = np.bincount(pairs // n_classes, weights=np.minimum(of_class, COCO_DETECTIONS), minlength=images)
    lost = per_image - np.minimum(countable, detections).astype(np.int64)
    if not lost.any():
        return None
    return CrowdedImages(
        images=int((lost > 0).sum()),
        all_images=images,
        objects=int(lost.sum()),
        all_objects=len(image_of),
        largest=int(per_image.max()),
        detections=detections,
    )
