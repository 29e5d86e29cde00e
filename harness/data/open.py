"""The splits of a dataset that need no torch: open them, read their pixels, and a fingerprint over all of it.

A `python` dataset is the user's own torch code: only its trial can open it (`harness.trial.inputs.dataset`), and here it has a
fingerprint alone.
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
    from harness.data.loaded import Loaded, LoadedSplit

_DATASET: TypeAdapter[Any] = TypeAdapter(Dataset)


class Split(Protocol):
    """Labelled images: `annotations` tells of all, `read_image` reads one."""

    @property
    def annotations(self) -> Annotations:
        """Every image and box."""

    def read_image(self, index: int) -> NDArray[np.uint8]:
        """Image `index` as uint8 [H, W, 3], RGB, upright."""

    def image_path(self, index: int) -> str | None:
        """The file that holds image `index`; None where it is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """Images that lie in files."""

    part: LoadedSplit

    @property
    def annotations(self) -> Annotations:
        return self.part.annotations

    def read_image(self, index: int) -> NDArray[np.uint8]:
        path = self.part.paths[index]
        assert path is not None
        pixels = read_pixels(path)
        expected = tuple(self.annotations.sizes[index].tolist())
        if (pixels.shape[1], pixels.shape[0]) != expected:
            raise DataError(
                f"{path}: is {pixels.shape[1]} × {pixels.shape[0]} pixels, was {expected[0]} × {expected[1]} when the "
                "trial began; nothing may change the images while it runs"
            )
        return pixels

    def image_path(self, index: int) -> str | None:
        return self.part.paths[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Images drawn when they are read."""

    drawing: SyntheticSplit
    annotations: Annotations

    def read_image(self, index: int) -> NDArray[np.uint8]:
        return self.drawing.read_image(index)

    def image_path(self, index: int) -> str | None:  # noqa: ARG002 - it is in no file
        return None


def split_names(dataset: PythonDataset | SyntheticDataset) -> tuple[str, ...]:
    """The splits that the dataset has."""
    return tuple(name for name in SPLITS if getattr(dataset, name) is not None)


def open_splits(dataset: FilesDataset | SyntheticDataset) -> tuple[dict[str, Split], Loaded | None]:
    """Open every split, in the order train, val, test; no pixel is read yet. Files come with what was found in them.

    Raises:
        DataError: the data are too bad to train on: every problem.
    """
    if isinstance(dataset, SyntheticDataset):
        return {name: draw(dataset, name) for name in split_names(dataset)}, None
    loaded = load(dataset, depth="headers")
    fatal = loaded.fatal(dataset.on_bad_data)
    if fatal:
        raise DataError("\n".join(map(str, fatal)))
    return {name: files(part) for name, part in loaded.parts.items()}, loaded


def files(part: LoadedSplit) -> Split:
    """A loaded split's images."""
    return _Files(part=part)


def draw(dataset: SyntheticDataset, name: str) -> Split:
    """One split of shapes."""
    drawing = SyntheticSplit(
        split=name,
        images=getattr(dataset, name).images,
        size=dataset.size,
        classes=dataset.classes,
        max_objects=dataset.max_objects,
        object_size=dataset.object_size,
        seed=dataset.seed,
    )
    return _Drawn(drawing=drawing, annotations=drawing.annotations())


def fingerprint(dataset: PythonDataset | SyntheticDataset) -> str:
    """sha256 over everything that decides the data, but not over where it lies.

    Files have theirs in `Loaded.fingerprint`. For a `python` dataset: the import path, the arguments and, for
    `file.py:Class`, the file; what the class reads from disk stays unseen.

    Raises:
        DataError: the file cannot be read.
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
