"""Labelled images for tests: drawn shapes, and the boxes that their labels tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.synthetic import SyntheticSplit

CLASSES = ("disc", "square", "triangle")  # in the order of the alphabet, as formats without a list number them
SIZE = 96

Box = tuple[str, float, float, float, float]


@dataclass(frozen=True)
class Shot:
    """One image: its name, its boxes as (class, x1, y1, x2, y2) in pixels, and the size that labels tell."""

    name: str
    boxes: tuple[Box, ...]
    size: tuple[int, int] = (SIZE, SIZE)

    def but(self, box: int, **corners: float) -> Shot:
        """With other corners of one box."""
        label, x1, y1, x2, y2 = self.boxes[box]
        old = {"x1": x1, "y1": y1, "x2": x2, "y2": y2} | corners
        new = (label, old["x1"], old["y1"], old["x2"], old["y2"])
        return replace(self, boxes=(*self.boxes[:box], new, *self.boxes[box + 1 :]))


@cache
def _drawn(split: str, count: int) -> tuple[tuple[Shot, np.ndarray], ...]:
    drawing = SyntheticSplit(
        split=split, images=4 * count, size=SIZE, classes=3, max_objects=4, object_size=(0.2, 0.5), seed=7
    )
    columns = drawing.annotations()
    found: list[tuple[Shot, np.ndarray]] = []
    for row in np.flatnonzero(np.diff(columns.offsets))[:count].tolist():
        inside = columns.rows(row)
        boxes = tuple(
            (CLASSES[label], round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2))
            for label, (x1, y1, x2, y2) in zip(
                columns.labels[inside].tolist(), columns.boxes[inside].tolist(), strict=True
            )
        )
        number = len(found)
        found.append((Shot(f"{split}{number:03d}.jpg", boxes if number % 8 else ()), drawing.read_image(row)))
    return tuple(found)


def shots(split: str, count: int) -> list[Shot]:
    """Drawn shapes; each eighth image is said to have no boxes."""
    return [shot for shot, _ in _drawn(split, count)]


def write_images(folder: Path, split: str, count: int) -> None:
    """The pictures of `shots`, as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot, pixels in _drawn(split, count):
        Image.fromarray(pixels).save(folder / shot.name, quality=95)
