"""Labelled images as tensors, from the splits of `harness.data` or from the user's own torch Dataset.

From here on labels follow torchvision: 1 is the first class, 0 the background.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.data.empty import why_empty
from harness.data.masks import masks_of_drawing, masks_of_files
from harness.data.open import Split, drawing_of, fingerprint, older_fingerprint, open_splits, split_names
from harness.data.stats import SplitStatistics, describe
from harness.errors import DataError
from harness.suite.schema import FilesDataset, PythonDataset, SyntheticDataset

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.data.loaded import LoadedDataset
    from harness.data.masks import Masks
    from harness.suite.trial import TrialDataset
    from harness.trial.inputs.image_cache import ImageCache
from harness.trial.inputs.item import Item, Items
from harness.trial.inputs.user_dataset import UserItems

_WITH_A_LOSS = ("train", "val")  # splits
CachesOf = Callable[[dict[str, "NDArray[np.int32]"]], dict[str, "ImageCache"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDataset:
    """A dataset as a trial uses it.

    Attributes:
        splits: the items of each split, in the order train, val, test.
        statistics: the statistics of each split; None for a user's Dataset, which has no annotations before it is read.
        skipped: the number of entries that were left out, by error code; None for a user's Dataset.
    """

    splits: dict[str, Items]
    statistics: dict[str, SplitStatistics] | None
    skipped: dict[str, int] | None


def check_code(dataset: TrialDataset, *, import_folder: Path) -> None:
    """Check that a user's own dataset is still the code that the trial was planned with.

    Raises:
        DataError: it is not.
    """
    source = dataset.source
    if not isinstance(source, PythonDataset) or dataset.fingerprint == fingerprint(source, import_folder):
        return
    if dataset.fingerprint != older_fingerprint(source):  # weights of an older version are measured as ever
        raise DataError(
            f"{dataset.name}: the code of the dataset has changed since this trial was planned; run the suite again"
        )


def open_dataset(
    dataset: TrialDataset,
    *,
    max_images: int | None,
    import_folder: Path,
    with_masks: bool = False,
    caches: CachesOf = lambda _sizes: {},
    headers: Path | None = None,
) -> OpenedDataset:
    """Open every split.

    Args:
        dataset: the trial's dataset.
        max_images: use only the first images of each split, at most so many; None for all.
        import_folder: the folder in which the user's modules are searched.
        with_masks: whether each item of train and val has the masks of its objects.
        caches: returns the cache of each split, from the sizes of its images; a user's Dataset has none.
        headers: a file that keeps what is read of image files for the next process.

    Raises:
        DataError: a split cannot be opened or is empty, or the files have changed since the trial was planned.
    """
    source = dataset.source
    if isinstance(source, PythonDataset):
        splits = {
            name: UserItems(
                name,
                getattr(source, name),
                source.classes,
                max_images,
                import_folder,
                with_masks=with_masks and name in _WITH_A_LOSS,
            )
            for name in split_names(source)
        }
        opened = OpenedDataset(splits=dict(splits), statistics=None, skipped=None)
    else:
        source_splits, loaded = open_splits(source, headers)
        if loaded is not None and loaded.fingerprint() != dataset.fingerprint:
            raise DataError(
                f"{dataset.name}: the images or labels have changed since this trial was planned; run the suite again"
            )
        kept = caches({name: split.annotations.sizes for name, split in source_splits.items()})
        opened = OpenedDataset(
            splits={
                name: _SplitItems(
                    split,
                    max_images,
                    _masks(source, loaded, name) if with_masks and name in _WITH_A_LOSS else None,
                    kept.get(name),
                )
                for name, split in source_splits.items()
            },
            statistics={name: describe(split.annotations) for name, split in source_splits.items()},
            skipped=loaded.skipped() if loaded else {},
        )
    for name, items in opened.splits.items():
        reason = why_empty(name, images=len(items), boxes=None)
        if reason:
            raise DataError(reason)
    return opened


def _masks(source: FilesDataset | SyntheticDataset, loaded: LoadedDataset | None, name: str) -> Masks:
    """The masks of a split's objects.

    Raises:
        DataError: its labels have none.
    """
    if isinstance(source, SyntheticDataset):
        return masks_of_drawing(drawing_of(source, name))
    assert loaded is not None
    return masks_of_files(loaded, name)


class _SplitItems:
    """The items of a split of `harness.data`."""

    def __init__(self, split: Split, max_images: int | None, masks: Masks | None, cache: ImageCache | None) -> None:
        self._split = split
        self._masks = masks
        self._cache = cache
        self.annotations = split.annotations.first(max_images) if max_images else split.annotations
        self.class_names = self.annotations.class_names

    def __len__(self) -> int:
        return len(self.annotations)

    def path(self, index: int) -> str | None:
        return self._split.image_path(index)

    def __getitem__(self, index: int) -> Item:
        annotations = self.annotations
        rows = annotations.rows(index)
        return Item(
            name=annotations.file_names[index],
            image=self._image(index),
            boxes=torch.from_numpy(annotations.boxes[rows].copy()),
            labels=torch.from_numpy(annotations.labels[rows] + 1),
            crowds=torch.from_numpy(annotations.crowds[rows].copy()),
            areas=torch.from_numpy(annotations.areas[rows].copy()),
            masks=None if self._masks is None else torch.from_numpy(self._masks(index)),
        )

    def _image(self, index: int) -> Tensor:
        """The pixels, uint8 [3, H, W], from the cache if they are there."""
        if self._cache is None:
            return self._decoded(index)
        path = self.path(index)
        kept = self._cache.read(index, path)
        if kept is not None:
            width, height = self.annotations.sizes[index].tolist()
            return kept.reshape(3, height, width)
        key = self._cache.key_of(path)
        image = self._decoded(index)
        self._cache.write(index, path, key, image.flatten())
        return image

    def _decoded(self, index: int) -> Tensor:
        return torch.from_numpy(self._split.read_image(index).transpose(2, 0, 1).copy())
