"""The same labelled images in every format, as the tools that people use write them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tests.data.shots import Shot, shots, write_images
from tests.data.written import (
    coco,
    createml,
    csv,
    cvat,
    huggingface,
    kitti,
    labelme,
    labelstudio,
    openimages,
    via,
    voc,
    yolo,
)


class Writer(Protocol):
    """The functions that the module of a format in `tests.data.written` has."""

    def image_folder(self, root: Path, split: str, /) -> Path:
        """Where the images of a split lie."""

    def label_file(self, root: Path, split: str, image: str, /) -> Path:
        """Where the labels of an image of a split are."""

    def write(self, root: Path, split: str, shots: list[Shot], /) -> None:
        """Write the labels of one split."""


_WRITERS: dict[str, Writer] = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "csv": csv,
    "labelme": labelme,
    "createml": createml,
    "cvat": cvat,
    "via": via,
    "kitti": kitti,
    "openimages": openimages,
    "labelstudio": labelstudio,
    "huggingface": huggingface,
}
FORMATS = tuple(_WRITERS)


def dataset(root: Path, name: str, *, train: int = 30, val: int = 10) -> Path:
    """A whole clean dataset in one format, in the layout that is most common for it; returns the path to give."""
    for split, count in (("train", train), ("val", val)):
        write_images(image_folder(root, name, split), split, count)
        write_labels(root, name, split, shots(split, count))
    return root


def image_folder(root: Path, name: str, split: str) -> Path:
    """Where the images of a split lie in that layout."""
    return _WRITERS[name].image_folder(root, split)


def label_file(root: Path, name: str, split: str, image: str) -> Path:
    """Where the labels of an image are."""
    return _WRITERS[name].label_file(root, split, image)


def write_labels(root: Path, name: str, split: str, shots: list[Shot]) -> None:
    """Write the labels of one split."""
    for shot in shots or [Shot("none.jpg", ())]:
        label_file(root, name, split, shot.name).parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[name].write(root, split, shots)
