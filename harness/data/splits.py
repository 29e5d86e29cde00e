"""The splits of a dataset that need no torch: open, check against the files on disk, read pixels, fingerprint.

Owns which splits exist, that their classes agree, and that every image is there and is an image. A `python` dataset is
the user's own torch code: only its trial can open it (`harness.trial.dataset`), and here it has a fingerprint alone.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import ExifTags, Image, ImageOps
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
_SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_NO_RANGE = {"I": "32-bit integers", "F": "32-bit floats"}  # Pillow's modes
_NOT_AN_IMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError)
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
                pixels = np.asarray(_rgb(ImageOps.exif_transpose(image)))
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombWarning,
            Image.DecompressionBombError,
        ) as error:
            raise DataError(f"{path}: cannot be read as an image: {error}") from None
        _check_size(path, width=pixels.shape[1], height=pixels.shape[0], declared=self.annotations.sizes[index])
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
                content[name]["source"] = _file_sha256(Path(module))
                content[name]["dataset"] = content[name]["dataset"].removeprefix(f"{Path(module).parent}/")
    else:
        content["drawing"] = DRAWING_VERSION
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _fingerprint_folders(dataset: CocoDataset) -> str:
    digest = hashlib.sha256()
    problems: list[str] = []
    classes: dict[Path, tuple[str, ...]] = {}
    for name in split_names(dataset):
        source: CocoSplit = getattr(dataset, name)
        try:
            annotations = read_coco(source.annotations)
        except DataError as error:
            problems += str(error).splitlines()
            continue
        classes[source.annotations] = annotations.class_names
        digest.update(f"{name} {annotations.fingerprint()}".encode())
        for index, file_name in enumerate(annotations.file_names):
            path = source.images / file_name
            try:
                _check_header(path, annotations.sizes[index])
                digest.update(f"{path.stat().st_size} ".encode())
            except DataError as error:
                problems.append(f"{source.annotations}: images[{index}]: {error}")
    expected = next(iter(classes.values()), ())
    problems += [
        f"{path}: its categories {list(names)} are not those of train: {list(expected)}; "
        "every split lists the same categories"
        for path, names in classes.items()
        if names != expected
    ]
    if problems:
        more = f"\n… and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise DataError("\n".join(problems[:_MOST_PROBLEMS]) + more)
    return digest.hexdigest()


def _check_header(path: Path, declared: NDArray[np.int32]) -> None:
    """That the file is there, is an image, and is as large as its annotations say, without decoding it."""
    try:
        if not path.is_file():
            raise DataError(f"no such image: {path}")
        with _open_image(path) as image:
            if image.mode in _NO_RANGE:
                raise DataError(
                    f"{path}: its pixels ({_NO_RANGE[image.mode]}) have no fixed range; save it with 8 or 16 bits"
                )
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _SIDEWAYS
            width, height = reversed(image.size) if turned else image.size
    except _NOT_AN_IMAGE as error:
        raise DataError(f"{path}: cannot be read as an image: {error}") from None
    _check_size(path, width=width, height=height, declared=declared)


def _check_size(path: Path, *, width: int, height: int, declared: NDArray[np.int32]) -> None:
    if (width, height) != tuple(declared.tolist()):
        raise DataError(
            f"{path}: is {width} × {height} pixels, its annotations say {declared[0]} × {declared[1]}; boxes would lie "
            "in the wrong place: write the real size (after EXIF rotation) into the annotations"
        )


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel. Sixteen are scaled: Pillow's own conversion would cut everything bright to white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _open_image(path: Path) -> Image.Image:
    """Read an image's header. A picture of absurd size is an error, not a warning: it would take all memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(path)
