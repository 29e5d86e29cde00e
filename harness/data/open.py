"""Open the splits of a dataset without torch, read their pixels, and compute a dataset's fingerprint.

A `python` dataset is the user's own torch code. Only its trial can open it (`harness.trial.inputs.dataset`); this
module only computes its fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import TypeAdapter

from harness.data.discover import SPLITS
from harness.data.images import read_pixels
from harness.data.load import load
from harness.data.synthetic import DRAWING_VERSION, SyntheticSplit
from harness.errors import DataError
from harness.suite.identity import with_first_names
from harness.suite.schema import Dataset, FilesDataset, PythonDataset, SyntheticDataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.loaded import LoadedDataset, LoadedSplit

_DATASET: TypeAdapter[Any] = TypeAdapter(Dataset)


class Split(Protocol):
    """Labelled images: the annotations of all of them, and the pixels of one at a time."""

    @property
    def annotations(self) -> Annotations:
        """Every image and every box of the split."""

    def read_image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index` as uint8 [H, W, 3], RGB, upright."""

    def image_path(self, index: int) -> str | None:
        """Return the file that holds image `index`; None if the image is drawn and not read from a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileSplit:
    """A split whose images are read from files."""

    loaded: LoadedSplit

    @property
    def annotations(self) -> Annotations:
        return self.loaded.annotations

    def read_image(self, index: int) -> NDArray[np.uint8]:
        path = self.loaded.paths[index]
        assert path is not None
        pixels = read_pixels(path)
        expected = tuple(self.annotations.sizes[index].tolist())
        if (pixels.shape[1], pixels.shape[0]) != expected:
            raise DataError(
                f"{path}: is {pixels.shape[1]} × {pixels.shape[0]} pixels, was {expected[0]} × {expected[1]} when the "
                "trial began; do not change the images while a trial runs"
            )
        return pixels

    def image_path(self, index: int) -> str | None:
        return self.loaded.paths[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SyntheticImages:
    """A split whose images are drawn when they are read."""

    drawing: SyntheticSplit
    annotations: Annotations

    def read_image(self, index: int) -> NDArray[np.uint8]:
        return self.drawing.read_image(index)

    def image_path(self, index: int) -> str | None:  # noqa: ARG002 - no drawn image has a file
        return None


def split_names(dataset: PythonDataset | SyntheticDataset) -> tuple[str, ...]:
    """Return the names of the dataset's splits, in the order train, val, test."""
    return tuple(name for name in SPLITS if getattr(dataset, name) is not None)


def open_splits(dataset: FilesDataset | SyntheticDataset) -> tuple[dict[str, Split], LoadedDataset | None]:
    """Open every split, in the order train, val, test, without reading pixels.

    Returns:
        The splits by name; and, for a dataset of files, the loaded dataset with the problems found in it.

    Raises:
        DataError: the data have errors that forbid training; the message lists all of them.
    """
    if isinstance(dataset, SyntheticDataset):
        return {name: open_synthetic(dataset, name) for name in split_names(dataset)}, None
    loaded = load(dataset, depth="headers")
    fatal = loaded.fatal(dataset.on_bad_data)
    if fatal:
        raise DataError("\n".join(map(str, fatal)))
    return {name: open_files(split) for name, split in loaded.splits.items()}, loaded


def open_files(loaded: LoadedSplit) -> Split:
    """Return a split that reads the images of a loaded split from their files."""
    return _FileSplit(loaded=loaded)


def open_synthetic(dataset: SyntheticDataset, name: str) -> Split:
    """Return the split `name` of a synthetic dataset; its images are drawn when they are read."""
    drawing = drawing_of(dataset, name)
    return _SyntheticImages(drawing=drawing, annotations=drawing.annotations())


def drawing_of(dataset: SyntheticDataset, name: str) -> SyntheticSplit:
    """Return what draws the split `name` of a synthetic dataset."""
    return SyntheticSplit(
        split=name,
        images=getattr(dataset, name).images,
        size=dataset.size,
        classes=dataset.classes,
        max_objects=dataset.max_objects,
        object_size=dataset.object_size,
        seed=dataset.seed,
    )


def fingerprint(dataset: PythonDataset | SyntheticDataset) -> str:
    """Return the sha256 of everything that determines the data, except the folder that it lies in.

    A dataset of files has `LoadedDataset.fingerprint` instead. For a `python` dataset the hash covers the import path,
    the arguments and, for `file.py:Class`, that file; the files that the class reads are not covered.

    Raises:
        DataError: the Python file cannot be read.
    """
    content = with_first_names(_DATASET.dump_python(dataset, mode="json"))
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
