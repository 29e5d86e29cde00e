"""The embedded data set is deterministic, and its boxes hold what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.synthetic import CLASS_NAMES, SyntheticSplit


def _split(images: int = 12, *, seed: int = 0, split: str = "train", classes: int = 8) -> SyntheticSplit:
    return SyntheticSplit(
        split=split, images=images, size=96, classes=classes, max_objects=4, object_size=(0.14, 0.56), seed=seed
    )


def test_the_seed_decides_everything_and_adding_images_changes_none() -> None:
    """Equal seeds give equal labels and pixels; a longer split starts with the shorter one; splits and seeds differ."""
    short, long = _split(5), _split(12)
    assert short.annotations().fingerprint() == long.annotations().first(5).fingerprint()
    assert np.array_equal(short.read_image(4), long.read_image(4))
    for other in (_split(5, seed=1), _split(5, split="val")):
        assert other.annotations().fingerprint() != short.annotations().fingerprint()
        assert not np.array_equal(other.read_image(0), short.read_image(0))


def test_boxes_lie_inside_and_span_several_scales() -> None:
    """Every box is inside its image; sides differ several-fold; some images are empty; every class occurs."""
    annotations = _split(200).annotations()
    assert annotations.boxes.min() >= 0
    assert annotations.boxes.max() <= 96
    sides = (annotations.boxes[:, 2:] - annotations.boxes[:, :2]).max(axis=1)
    assert sides.max() / sides.min() > 3
    assert (np.diff(annotations.offsets) == 0).any()
    assert set(annotations.labels.tolist()) == set(range(len(CLASS_NAMES)))


@pytest.mark.parametrize("label", range(8))
def test_a_box_holds_its_shape(label: int) -> None:
    """Where one shape stands alone, the pixels that its drawing changed fill its box to within a pixel and a half."""
    from PIL import Image

    from harness.data.synthetic import _SUPERSAMPLING, _draw_shape

    split = _split(300)
    shape = next(shape for index in range(300) for shape in split._scene(index) if shape.label == label)
    canvas = Image.new("RGB", (96 * _SUPERSAMPLING,) * 2, "black")
    _draw_shape(canvas, shape)
    drawn = np.asarray(canvas).max(axis=2) > 0
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    bounds = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / _SUPERSAMPLING
    assert np.abs(bounds - shape.box).max() <= 1.5
