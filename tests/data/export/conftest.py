"""Data that each format must carry: subfolders, equal names, fractions of pixels, crowds, images without boxes."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset, LoadedSplit
from harness.suite.schema import FilesDataset
from tests.data.write import dataset

CLASSES = ["Zebra & co", "größer <1>", "unused", 'a "b": #c']
NAMES = {
    "train": ["a.jpg", "a.png", "A_png.jpg", "cam 1/a.jpg", "cam 1/images/b.jpg", "empty.jpg"],
    "val": ["a.jpg", "c.d.jpg"],
}


def _boxes(rng: np.random.Generator) -> list[list[float]]:
    left, top = rng.uniform(0, 40, (2, 5)).astype(np.float32)
    sides = rng.uniform(1.5, 50, (2, 5)).astype(np.float32)
    boxes = np.stack([left, top, *sides], axis=1).astype(float).tolist()
    return [*boxes, [0, 0, 97, 91], [95.75, 0.001, 1.25, 3], [41, 0, 23, 37]]


def write_rich(root: Path, *, crowds: bool = True) -> Path:
    """A COCO dataset that has all of it; returns its path."""
    rng = np.random.default_rng(5)
    for split, names in NAMES.items():
        annotations: list[dict[str, object]] = []
        for row, name in enumerate(names):
            file = root / split / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (91, 97, 3), dtype=np.uint8)).save(file)
            for box in [] if name == "empty.jpg" else _boxes(rng):
                number = len(annotations)
                annotations.append(
                    {
                        "id": number,
                        "image_id": row,
                        "category_id": (0, 1, 3)[number % 3],
                        "bbox": box,
                        "iscrowd": int(crowds and number % 5 == 0),
                    }
                )
        content = {
            "images": [{"id": row, "file_name": name, "width": 97, "height": 91} for row, name in enumerate(names)],
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
        }
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def read(path: Path, name: str) -> LoadedDataset:
    """Without an error."""
    loaded = load(FilesDataset(format=name, path=path), depth="headers")  # type: ignore[arg-type]
    assert not loaded.findings.problems("error"), loaded.findings.problems("error")
    return loaded


@pytest.fixture
def rich(tmp_path: Path) -> LoadedDataset:
    return read(write_rich(tmp_path / "rich"), "coco")


def write_flat(root: Path) -> LoadedDataset:
    """Drawn shapes whose names and classes every tool can hold."""
    return read(dataset(root, "coco", train=8, val=4), "coco")


def assert_seen(tool: object, split: LoadedSplit) -> None:
    """What supervision read of a folder is what the harness reads: names, classes by name, boxes within 1e-3 pixel."""
    columns = split.annotations
    seen = {Path(path).name: detections for path, _, detections in tool}  # type: ignore[attr-defined]
    assert sorted(seen) == list(columns.file_names)
    for row, name in enumerate(columns.file_names):
        rows = columns.rows(row)
        labels = [tool.classes[label] for label in seen[name].class_id]  # type: ignore[attr-defined]
        assert labels == [columns.class_names[label] for label in columns.labels[rows]]
        assert np.abs(seen[name].xyxy - columns.boxes[rows]).max(initial=0) < 1e-3
    assert len(columns.boxes) > 5


@pytest.fixture
def supervision() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it goes without OpenCV
        return importlib.import_module("supervision")
