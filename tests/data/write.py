"""The same labelled images in every format, as the tools that people use write them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.synthetic import SyntheticSplit

FORMATS = ("coco", "voc", "yolo", "csv", "labelme", "createml")
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


def dataset(root: Path, name: str, *, train: int = 30, val: int = 10) -> Path:
    """A whole clean dataset in one format, in the layout that is most common for it; returns the path to give."""
    for split, count in (("train", train), ("val", val)):
        write_images(image_folder(root, name, split), split, count)
        write_labels(root, name, split, shots(split, count))
    return root


def image_folder(root: Path, name: str, split: str) -> Path:
    """Where the images of a split lie in that layout."""
    if name == "voc":
        return root / "JPEGImages"
    return root / "images" / split if name in {"yolo", "coco"} else root / split


def label_file(root: Path, name: str, split: str, shot: str) -> Path:
    """Where the labels of an image are."""
    stem = Path(shot).stem
    return {
        "coco": root / "annotations" / f"{split}.json",
        "voc": root / "Annotations" / f"{stem}.xml",
        "yolo": root / "labels" / split / f"{stem}.txt",
        "csv": root / split / "labels.csv",
        "labelme": root / split / f"{stem}.json",
        "createml": root / split / "_annotations.createml.json",
    }[name]


def write_labels(root: Path, name: str, split: str, shots: list[Shot]) -> None:
    """The labels of one split."""
    for shot in shots or [Shot("none.jpg", ())]:
        label_file(root, name, split, shot.name).parent.mkdir(parents=True, exist_ok=True)
    globals()[f"_write_{name}"](root, split, shots)


def _write_coco(root: Path, split: str, shots: list[Shot]) -> None:
    numbered = [(image, box) for image, shot in enumerate(shots) for box in shot.boxes]
    content = {
        "info": {"description": "test"},
        "licenses": [],
        "images": [
            {"id": 10 + 3 * row, "file_name": shot.name, "width": shot.size[0], "height": shot.size[1]}
            for row, shot in enumerate(shots)
        ],
        "annotations": [
            {
                "id": 500 + row,
                "image_id": 10 + 3 * image,
                "category_id": 2 + 5 * CLASSES.index(label) if label in CLASSES else 99,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": 0,
                "segmentation": [[x1, y1, x2, y1, x2, y2]],
            }
            for row, (image, (label, x1, y1, x2, y2)) in enumerate(numbered)
        ],
        "categories": [{"id": 2 + 5 * number, "name": label} for number, label in enumerate(CLASSES)],
    }
    label_file(root, "coco", split, "").write_text(json.dumps(content))


def _write_voc(root: Path, split: str, shots: list[Shot]) -> None:
    for shot in shots:
        objects = "".join(
            f"  <object>\n    <name>{label}</name>\n    <difficult>0</difficult>\n    <bndbox>\n"
            f"      <xmin>{x1 + 1:.6f}</xmin>\n      <ymin>{y1 + 1:.6f}</ymin>\n"
            f"      <xmax>{x2}</xmax>\n      <ymax>{y2}</ymax>\n    </bndbox>\n  </object>\n"
            for label, x1, y1, x2, y2 in shot.boxes
        )
        label_file(root, "voc", split, shot.name).write_text(
            f"<annotation>\n  <filename>{shot.name}</filename>\n  <size><width>{shot.size[0]}</width>"
            f"<height>{shot.size[1]}</height><depth>3</depth></size>\n{objects}</annotation>\n"
        )
    sets = root / "ImageSets" / "Main"
    sets.mkdir(parents=True, exist_ok=True)
    (sets / f"{split}.txt").write_text("".join(f"{Path(shot.name).stem}\n" for shot in shots))


def _write_yolo(root: Path, split: str, shots: list[Shot]) -> None:
    for shot in shots:
        lines = [
            f"{CLASSES.index(label) if label in CLASSES else 99} {(x1 + x2) / 2 / SIZE:.7f} {(y1 + y2) / 2 / SIZE:.7f} "
            f"{(x2 - x1) / SIZE:.7f} {(y2 - y1) / SIZE:.7f}\n"
            for label, x1, y1, x2, y2 in shot.boxes
        ]
        label_file(root, "yolo", split, shot.name).write_text("".join(lines))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnc: 3\nnames: {json.dumps(CLASSES)}\n")


def _write_csv(root: Path, split: str, shots: list[Shot]) -> None:
    lines = [
        line
        for shot in shots
        for line in (
            [f"{shot.name},{x1},{y1},{x2},{y2},{label}\n" for label, x1, y1, x2, y2 in shot.boxes]
            or [f"{shot.name},,,,,\n"]
        )
    ]
    label_file(root, "csv", split, "").write_text("".join(lines))


def _write_labelme(root: Path, split: str, shots: list[Shot]) -> None:
    for shot in shots:
        shapes: list[dict[str, object]] = [
            {"label": label, "points": [[x2, y1], [x1, y2]], "shape_type": "rectangle", "group_id": None, "flags": {}}
            for label, x1, y1, x2, y2 in shot.boxes
        ]
        content = {
            "version": "5.4.1",
            "imagePath": shot.name,
            "imageData": None,
            "imageWidth": shot.size[0],
            "imageHeight": shot.size[1],
            "shapes": shapes,
        }
        label_file(root, "labelme", split, shot.name).write_text(json.dumps(content, indent=2))


def _write_createml(root: Path, split: str, shots: list[Shot]) -> None:
    content = [
        {
            "image": shot.name,
            "annotations": [
                {
                    "label": label,
                    "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
                }
                for label, x1, y1, x2, y2 in shot.boxes
            ],
        }
        for shot in shots
    ]
    label_file(root, "createml", split, "").write_text(json.dumps(content))
