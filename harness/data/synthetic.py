"""The synthetic dataset: coloured shapes on cluttered backgrounds, drawn from a seed without any download.

A scene is laid out first, so that annotations need no pixels, and is drawn when its image is read. Image i of a split
depends only on (seed, split, i): adding images does not change earlier ones.

It is made difficult enough for detectors to differ on it: sizes span 1:4 by default, shapes overlap, the colour hints
at the class without deciding it, and the background has strokes and blobs of the same colours.
"""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from harness.data.annotations import Annotations, from_sorted

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASS_NAMES = ("disc", "square", "triangle", "cross", "star", "hexagon", "arrow", "ring")

DRAWING_VERSION = 1  # part of the dataset's fingerprint; raise it whenever a pixel or a box changes

_SUPERSAMPLING = 3
_MAX_OVERLAP = 0.25  # fraction of the smaller box; more overlap would hide a labelled shape
_PLACEMENT_TRIES = 20
_HUE_STEP = 0.375  # three eighths: neighbouring classes lie far apart, and eight classes fill the circle


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One labelled object: its outline, and its hole if it has one, each float64 [P, 2] in pixels."""

    label: int
    outline: NDArray[np.float64]
    hole: NDArray[np.float64] | None
    colour: tuple[int, int, int]

    @property
    def box(self) -> NDArray[np.float64]:
        """The outline's bounding box: float64 [4], xyxy, pixels."""
        return np.concatenate((self.outline.min(axis=0), self.outline.max(axis=0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSplit:
    """One synthetic split, drawn when its images are read.

    Attributes:
        split: the split's name.
        images: the number of images.
        size: the side of the square images in pixels.
        classes: the number of classes.
        max_objects: the largest number of objects in an image.
        object_size: the range of an object's longest side as a fraction of `size`, drawn log-uniformly.
        seed: the seed of all drawings.
    """

    split: str
    images: int
    size: int
    classes: int
    max_objects: int
    object_size: tuple[float, float]
    seed: int

    def annotations(self) -> Annotations:
        """Lay out every scene and collect its boxes, without drawing."""
        scenes = [self._scene(index) for index in range(self.images)]
        boxes = np.array([shape.box for scene in scenes for shape in scene], dtype=np.float32).reshape(-1, 4)
        return from_sorted(
            class_names=CLASS_NAMES[: self.classes],
            file_names=tuple(f"{self.split}-{index:06d}.png" for index in range(self.images)),
            sizes=np.full((self.images, 2), self.size, dtype=np.int32),
            image_of_box=np.repeat(np.arange(self.images), [len(scene) for scene in scenes]).astype(np.int64),
            boxes=boxes,
            labels=np.array([shape.label for scene in scenes for shape in scene], dtype=np.int64),
            crowds=np.zeros(len(boxes), dtype=np.bool_),
            areas=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
        )

    def has_objects(self) -> bool:
        """Return whether any image has an object; no scene after the first such one is laid out."""
        return any(self._scene(index) for index in range(self.images))

    def read_image(self, index: int) -> NDArray[np.uint8]:
        """Draw image `index`: uint8 [size, size, 3], RGB."""
        rng = self._generator(index, purpose="pixels")
        canvas = Image.fromarray(_background(rng, self.size))
        canvas = canvas.resize((self.size * _SUPERSAMPLING,) * 2, Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(canvas)
        _clutter(rng, draw, self.size)
        for shape in self._scene(index):
            _draw_shape(canvas, shape)
        small = canvas.resize((self.size, self.size), Image.Resampling.BOX)
        noise = rng.normal(0.0, 7.0, (self.size, self.size, 3))
        return np.clip(np.asarray(small, dtype=np.float64) + noise, 0, 255).astype(np.uint8)

    def shapes(self, index: int) -> list[Shape]:
        """Return the objects of image `index`, in the order of its boxes."""
        return self._scene(index)

    def _generator(self, index: int, *, purpose: str) -> np.random.Generator:
        return np.random.default_rng((self.seed, zlib.crc32(f"{self.split}/{purpose}".encode()), index))

    def _scene(self, index: int) -> list[Shape]:
        rng = self._generator(index, purpose="scene")
        scene: list[Shape] = []
        for _ in range(int(rng.integers(self.max_objects + 1))):
            for _ in range(_PLACEMENT_TRIES):
                shape = _random_shape(rng, self.size, self.classes, self.object_size)
                if all(_overlap(shape.box, other.box) <= _MAX_OVERLAP for other in scene):
                    scene.append(shape)
                    break
        return scene


def _random_shape(rng: np.random.Generator, size: int, classes: int, object_size: tuple[float, float]) -> Shape:
    label = int(rng.integers(classes))
    low, high = object_size
    side = size * low * (high / low) ** rng.random()
    outline, hole = _unit_outline(CLASS_NAMES[label])
    turn = rng.uniform(-0.35, 0.35)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    stretch = np.array([1.0, rng.uniform(0.75, 1.0)])[rng.permutation(2)]
    turned = (outline * stretch) @ rotation.T
    scale = side / np.ptp(turned, axis=0).max()
    extent = np.ptp(turned, axis=0) * scale
    shift = rng.uniform(0, 1, 2) * (size - extent) - turned.min(axis=0) * scale
    return Shape(
        label=label,
        outline=turned * scale + shift,
        hole=None if hole is None else (hole * stretch) @ rotation.T * scale + shift,
        colour=_colour(rng, hue=label * _HUE_STEP + rng.normal(0, 0.06)),
    )


def _unit_outline(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the outline and the hole of a shape centred on the origin: float64 [P, 2] each."""
    if name == "cross":
        arm = np.array([(-1, 3), (1, 3), (1, 1), (3, 1), (3, -1), (1, -1)], dtype=np.float64) / 3
        return np.concatenate((arm, -arm)), None
    if name == "arrow":
        return np.array([(0, -1), (1, 0), (0.4, 0), (0.4, 1), (-0.4, 1), (-0.4, 0), (-1, 0)], dtype=np.float64), None
    if name == "star":
        return _polygon(10) * np.where(np.arange(10) % 2, 0.42, 1.0)[:, None], None
    corners = {"disc": 40, "square": 4, "triangle": 3, "hexagon": 6, "ring": 40}[name]
    start = np.pi / 4 if name == "square" else 0.0
    return _polygon(corners, start), 0.55 * _polygon(corners) if name == "ring" else None


def _polygon(corners: int, start: float = 0.0) -> NDArray[np.float64]:
    angle = start - np.pi / 2 + 2 * np.pi * np.arange(corners) / corners
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the intersection of two boxes as a fraction of the smaller box's area."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    smaller = min(np.prod(first[2:] - first[:2]), np.prod(second[2:] - second[:2]))
    return float(np.prod(np.clip(sides, 0, None)) / smaller)


def _colour(rng: np.random.Generator, hue: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, rng.uniform(0.55, 1.0), rng.uniform(0.55, 1.0))
    return int(255 * red), int(255 * green), int(255 * blue)


def _background(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Draw a smooth, uneven background: uint8 [size, size, 3]."""
    coarse = rng.uniform(60, 190, (4, 4, 1)) + rng.normal(0, 14, (4, 4, 3))
    image = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8)


def _clutter(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: int) -> None:
    """Draw strokes and small blobs in the objects' colours, so that colour alone does not reveal an object."""
    extent = size * _SUPERSAMPLING
    for _ in range(int(rng.integers(3, 9))):
        ends = [tuple(point) for point in rng.uniform(0, extent, (2, 2)).tolist()]
        width = max(1, int(extent * rng.uniform(0.005, 0.02)))
        draw.line(ends, fill=_colour(rng, hue=rng.random()), width=width)
    for _ in range(int(rng.integers(2, 7))):
        x, y = rng.uniform(0, extent, 2)
        radius = extent * rng.uniform(0.008, 0.03)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(rng, hue=rng.random()))


def _draw_shape(canvas: Image.Image, shape: Shape) -> None:
    """Draw a filled shape with a thin darker rim; the background shows through its hole."""
    mask = Image.new("L", canvas.size, 0)
    pen = ImageDraw.Draw(mask)
    pen.polygon(_points(shape.outline), fill=255)
    if shape.hole is not None:
        pen.polygon(_points(shape.hole), fill=0)
    canvas.paste(shape.colour, (0, 0), mask)
    rim = tuple(value // 2 for value in shape.colour)
    ImageDraw.Draw(canvas).line(_points(np.vstack((shape.outline, shape.outline[:1]))), fill=rim, width=_SUPERSAMPLING)


def _points(outline: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in (outline * _SUPERSAMPLING).tolist()]
