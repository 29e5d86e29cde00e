"""The splits of a dataset that need no torch: open, check against the files on disk, read pixels, fingerprint.

Owns which splits exist, that their classes agree, and that every image is there and is an image. A `python` dataset is
the user's own torch code: only its trial can open it (`harness.trial.dataset`), and here it has a fingerprint alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image, ImageOps
from pydantic import TypeAdapter

from harness.data.formats.coco import read_coco
from harness.data.synthetic import DRAWING_VERSION, SyntheticSplit
from harness.errors import DataError
from harness.suite.spec import CocoDataset, CocoSplit, Dataset, PythonDataset, SyntheticDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.data.annotations import Annotations

SPLITS = ("train", "val", "test")
_MOST_PROBLEMS = 20
_DATASET: TypeAdapter[Any] = TypeAdapter(Dataset)


class Split(Protocol):
    """Labelled images: `annotations` tells of all, `read_image` reads one."""

    @property
    def annotations(self) -> Annotations:
        """Every image and box."""

    def read_image(self, index: int) -> NDArray[np.uint8]:
        """Image `index` as uint8 [H, W, 3], RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """Images that lie in a folder."""

    images: Path
    annotations: Annotations

    def read_image(self, index: int) -> NDArray[np.uint8]:
        path = self.images / self.annotations.file_names[index]
        try:
            with _open_image(path) as image:
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombWarning,
            Image.DecompressionBombError,
        ) as error:
            raise DataError(f"{path}: cannot be read as an image: {error}") from None
        width, height = self.annotations.sizes[index]
        if pixels.shape[:2] != (height, width):
            raise DataError(
                f"{path}: is {pixels.shape[1]} × {pixels.shape[0]} pixels, its annotations say {width} × {height}; "
                "boxes would lie in the wrong place: write the real size (after EXIF rotation) into the annotations"
            )
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Images drawn when they are read."""

    drawing: SyntheticSplit
    annotations: Annotations

    def read_image(self, index: int) -> NDArray[np.uint8]:
        return self.drawing.read_image(index)


def split_names(dataset: Dataset) -> tuple[str, ...]:
    """The splits that the dataset has."""
    return tuple(name for name in SPLITS if getattr(dataset, name) is not None)


def open_split(dataset: CocoDataset | SyntheticDataset, name: str) -> Split:
    """Open one split; no pixel is read yet.

    Raises:
        DataError: its annotations are wrong.
    """
    source = getattr(dataset, name)
    if isinstance(source, CocoSplit):
        return _Folder(images=source.images, annotations=read_coco(source.annotations))
    if not isinstance(dataset, SyntheticDataset):
        raise TypeError(f"no reader for {dataset!r}")
    drawing = SyntheticSplit(
        split=name,
        images=source.images,
        size=dataset.size,
        classes=dataset.classes,
        most_objects=dataset.most_objects,
        object_size=dataset.object_size,
        seed=dataset.seed,
    )
    return _Drawn(drawing=drawing, annotations=drawing.annotations())


def fingerprint(dataset: Dataset) -> str:
    """sha256 over everything that decides the data, but not over where it lies.

    For COCO: every label, and every image's name and size in bytes. For a `python` dataset: the import path, the
    arguments and, for `file.py:Class`, the file; what the class reads from disk stays unseen.

    Raises:
        DataError: labels are wrong, images are missing or are no images: every problem, the first 20 in words.
    """
    if isinstance(dataset, CocoDataset):
        return _fingerprint_folders(dataset)
    content = _DATASET.dump_python(dataset, mode="json")
    if isinstance(dataset, PythonDataset):
        for name in split_names(dataset):
            module, _, _ = content[name]["dataset"].rpartition(":")
            if module.endswith(".py"):
                content[name]["source"] = hashlib.sha256(Path(module).read_bytes()).hexdigest()
                content[name]["dataset"] = content[name]["dataset"].removeprefix(f"{Path(module).parent}/")
    else:
        content["drawing"] = DRAWING_VERSION
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _fingerprint_folders(dataset: CocoDataset) -> str:
    digest = hashlib.sha256()
    problems: list[str] = []
    classes: dict[str, tuple[str, ...]] = {}
    for name in split_names(dataset):
        source = getattr(dataset, name)
        annotations = read_coco(source.annotations)
        classes[name] = annotations.class_names
        digest.update(f"{name} {annotations.fingerprint()}".encode())
        for index, file_name in enumerate(annotations.file_names):
            try:
                size = os.stat(source.images / file_name).st_size
                _open_image(source.images / file_name).close()
            except FileNotFoundError:
                problems.append(f"{source.annotations}: images[{index}]: no such image: {source.images / file_name}")
            except (OSError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
                problems.append(f"{source.annotations}: images[{index}]: not an image: {error}")
            else:
                digest.update(f"{size} ".encode())
    problems.extend(
        f"{getattr(dataset, name).annotations}: its categories {list(names)} are not those of train: "
        f"{list(classes['train'])}; every split lists the same categories"
        for name, names in classes.items()
        if names != classes["train"]
    )
    if problems:
        more = f"\n… and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise DataError("\n".join(problems[:_MOST_PROBLEMS]) + more)
    return digest.hexdigest()


def _open_image(path: Path) -> Image.Image:
    """Read an image's header. A picture of absurd size is an error, not a warning: it would take all memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(path)
