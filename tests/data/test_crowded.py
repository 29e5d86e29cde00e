"""Which objects of crowded images mAP cannot count, and how that is said."""

from __future__ import annotations

import numpy as np

from harness.data.crowded import CrowdedImages, find_crowded


def _found(*images: list[int], detections: int) -> CrowdedImages | None:
    """From the classes of the objects of each image."""
    image_of = np.repeat(np.arange(len(images)), [len(classes) for classes in images])
    classes = np.array([number for classes in images for number in classes], dtype=np.int64)
    return find_crowded(image_of, classes, images=len(images), detections=detections)


def test_objects_beyond_coco_s_hundred_of_a_class_are_counted() -> None:
    """69 of 169 objects of one class cannot count, whether the protocol keeps more detections or not."""
    for kept in (100, 300):
        found = _found([0] * 169, [0] * 100, [], detections=kept)
        assert found is not None
        assert (found.images, found.all_images, found.objects, found.all_objects, found.largest) == (1, 3, 69, 269, 169)
    assert "raise protocol.detections" in str(_found([0] * 169, detections=100))
    assert str(_found([0] * 169, [1], detections=300)) == (
        "1 of 2 images holds more objects than mAP counts (169 at most): whatever is found, 69 of 170 objects count as "
        "missed, because COCO takes 100 detections of a class in an image; map_at_detections counts 300"
    )


def test_the_protocol_s_detections_bind_over_all_classes() -> None:
    """80 and 89 objects of two classes: 100 detections leave 69 out, 300 leave out none."""
    found = _found([0] * 80 + [1] * 89, detections=100)
    assert found is not None
    assert found.objects == 69
    assert _found([0] * 80 + [1] * 89, detections=300) is None


def test_images_that_hold_fewer_give_nothing() -> None:
    """A hundred objects an image, no object at all, or no image."""
    assert _found([0] * 100, [1], detections=100) is None
    assert _found([], [], detections=100) is None
    assert _found(detections=100) is None
