"""Detections on a copy of their image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from harness.data.drawing import draw_detections, encode


def test_a_box_is_where_it_was_detected_and_the_image_stays() -> None:
    """Its line runs along its edges in the colour of its class; two classes have two colours."""
    pixels = np.zeros((200, 300, 3), dtype=np.uint8)
    drawn = np.asarray(
        draw_detections(pixels, [(100, 100, 150, 160), (200, 20, 280, 60)], ["disc 0.90", "ring 0.50"], [1, 2])
    )
    assert not pixels.any()
    edge, inside, other = drawn[159, 120], drawn[130, 120], drawn[59, 240]
    assert edge.any()
    assert not inside.any()
    assert other.any()
    assert not np.array_equal(edge, other)


def test_a_box_that_leaves_the_image_or_has_no_area_is_drawn_as_far_as_it_goes() -> None:
    """No detector's output stops the others."""
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    boxes = [(-20.0, -20.0, 90.0, 90.0), (10.0, 10.0, 10.0, 10.0), (-5.5, 30.2, -1.0, 30.1)]
    drawn = draw_detections(pixels, boxes, ["a", "a class with a very long name", "\u4e2d"], [1, 2, 3])
    assert drawn.size == (60, 40)


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".JPEG", "JPEG"), (".png", "PNG"), (".PNG", "PNG")])
def test_a_copy_is_of_the_kind_that_its_name_says(suffix: str, kind: str) -> None:
    """Whatever the case of its letters."""
    content = encode(Image.new("RGB", (8, 8)), suffix)
    assert Image.open(io.BytesIO(content)).format == kind
