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
from harness.data.header_cache import HeaderCache
from harness.data.load import load
from harness.data.pixels import read_pixels
from harness.data.synthetic import DRAWING_VERSION, SyntheticSplit
from harness.errors import DataError
from harness.suite.identity import with_first_names
from harness.suite.schema import Dataset, FilesDataset, PythonDataset, SyntheticDataset
from harness.suite.sources import source_files

if TYPE_CHECKING:
    from collections.abc import Callable

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


def open_splits(
    dataset: FilesDataset | SyntheticDataset, headers: Path | None = None
) -> tuple[dict[str, Split], LoadedDataset | None]:
    """Open every split, in the order train, val, test, without reading pixels.

    Args:
        dataset: where the images lie, or how they are drawn.
        headers: a file that keeps what is read of image files for the next process (`HeaderCache`); None: none.

    Returns:
        The splits by name; and, for a dataset of files, the loaded dataset with the problems found in it.

    Raises:
        DataError: the data have errors that forbid training; the message lists all of them.
    """
    if isinstance(dataset, SyntheticDataset):
        return {name: open_synthetic(dataset, name) for name in split_names(dataset)}, None
    cache = None if headers is None else HeaderCache(headers)
    loaded = load(dataset, depth="headers", headers=cache)
    if cache is not None:
        cache.save()
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


def fingerprint(dataset: PythonDataset | SyntheticDataset, import_folder: Path = Path()) -> str:
    """Return the sha256 of everything that determines the data, except the folder that it lies in.

    A dataset of files has `LoadedDataset.fingerprint` instead. For a `python` dataset the hash covers the import path,
    the arguments, and the code: the file of the class and what it imports of the user's own (`harness.suite.sources`).
    The data files that the class reads are not covered.

    Args:
        import_folder: the suite's folder, where the user's modules are searched for.

    Raises:
        DataError: the code cannot be found or read.
    """
    if isinstance(dataset, PythonDataset):
        return _hash_of_python(dataset, lambda module: _code_sha256(module, import_folder))
    return _sha256(with_first_names(_DATASET.dump_python(dataset, mode="json")) | {"drawing": DRAWING_VERSION})


def older_fingerprint(dataset: PythonDataset) -> str:
    """Return the fingerprint that versions before 0.4 gave: it covers the file of `file.py:Class`, and no other code.

    Raises:
        DataError: the file cannot be read.
    """
    return _hash_of_python(
        dataset, lambda module: {"source": _file_sha256(Path(module))} if module.endswith(".py") else {}
    )


def _hash_of_python(dataset: PythonDataset, code_of: Callable[[str], dict[str, Any]]) -> str:
    content = _DATASET.dump_python(dataset, mode="json")
    for name in split_names(dataset):
        module, _, class_name = content[name]["dataset"].rpartition(":")
        content[name] |= code_of(module)
        if module.endswith(".py"):
            content[name]["dataset"] = f"{Path(module).name}:{class_name}"
    return _sha256(content)


def _code_sha256(module: str, import_folder: Path) -> dict[str, Any]:
    """Return the hash of the file that defines a class and, where it imports any, those of the user's other files."""
    try:
        files = source_files(module, import_folder)
    except ImportError as error:
        raise DataError(f"{module}: {error}") from None
    hashes = {name: _file_sha256(file) for name, file in files.items()}
    source = {"source": hashes.pop(module)} if module in hashes else {}
    return source | ({"imports": hashes} if hashes else {})


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: cannot be read: it is no file, but a folder or a device")
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
