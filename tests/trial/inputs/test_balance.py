"""Repeat factors are those of the paper: by the fraction of the images that show a class, not by its boxes."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from harness.data.annotations import Annotations
from harness.trial.inputs.balance import repeat_factors


def _annotations(images: list[list[int]], classes: int, crowds: tuple[int, ...] = ()) -> Annotations:
    """Images with boxes of these classes; `crowds` are numbers of boxes."""
    labels = [label for image in images for label in image]
    boxes = np.tile(np.array([[0.0, 0.0, 4.0, 4.0]], np.float32), (len(labels), 1))
    return Annotations(
        class_names=tuple(f"class {n}" for n in range(classes)),
        file_names=tuple(f"{n}.png" for n in range(len(images))),
        sizes=np.full((len(images), 2), 8),
        offsets=np.cumsum([0, *map(len, images)]),
        boxes=boxes,
        labels=np.array(labels, np.int64),
        crowds=np.isin(np.arange(len(labels)), crowds),
        areas=np.full(len(labels), 16.0, np.float32),
    )


def test_an_image_has_the_factor_of_its_rarest_class() -> None:
    """Classes in 8, 2 and 1 of 10 images, a threshold of 0.4: 1, √2 and 2; several boxes count once, no box gives 1."""
    images = [[0], [0, 0, 0], [0, 1], [0], [0, 1, 1], [0], [0], [0, 2, 2, 2], [], []]
    factors = repeat_factors(_annotations(images, 3), 0.4)
    assert factors == pytest.approx([1, 1, math.sqrt(2), 1, math.sqrt(2), 1, 1, 2, 1, 1])
    assert repeat_factors(_annotations(images, 3), 0.001).tolist() == [1.0] * 10


def test_crowd_regions_and_absent_classes_count_for_nothing() -> None:
    """The only box of a class is a crowd region: its image is as often as one without it."""
    assert repeat_factors(_annotations([[0], [0, 1], [0]], 4, crowds=(2,)), 0.9).tolist() == [1.0] * 3
    assert repeat_factors(_annotations([[], []], 1), 0.9).tolist() == [1.0] * 2


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.5, 1.0])
def test_factors_are_the_papers_formula(threshold: float) -> None:
    """r(c) = max(1, √(t / f(c))), r(I) = max over c in I, written plainly over random images."""
    draw = random.Random(3)
    images = [[min(7, int(draw.expovariate(0.8))) for _ in range(draw.randint(0, 4))] for _ in range(60)]
    f = {c: sum(c in image for image in images) / len(images) for c in range(8)}
    expected = [max([1.0, *(math.sqrt(threshold / f[c]) for c in image)]) for image in images]
    assert repeat_factors(_annotations(images, 8), threshold) == pytest.approx(expected)
