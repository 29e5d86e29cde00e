"""Labelled images as tensors: from the data room's splits, or from the user's own torch Dataset, checked item by item.

Labels are torchvision's from here on: 1 is the first class, 0 the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.data.open import Split, open_splits, split_names
from harness.data.stats import SplitStatistics, describe
from harness.errors import DataError
from harness.suite.schema import PythonDataset

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.trial import TrialDataset
from harness.trial.inputs.item import Item, Items
from harness.trial.inputs.user_dataset import UserItems


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A dataset as a trial uses it: its splits in the order train, val, test, and what is known of them.

    `statistics` and `skipped` are None for a user's Dataset, which tells nothing before it is read.
    """

    splits: dict[str, Items]
    statistics: dict[str, SplitStatistics] | None
    skipped: dict[str, int] | None


def open_dataset(dataset: TrialDataset, *, max_images: int | None, import_folder: Path) -> Opened:
    """Open every split, or of each its first `limit` images.

    Raises:
        DataError: a split cannot be opened or is empty, or the files are not those that the trial was planned on.
    """
    source = dataset.source
    if isinstance(source, PythonDataset):
        splits = {
            name: UserItems(name, getattr(source, name), source.classes, max_images, import_folder)
            for name in split_names(source)
        }
        opened = Opened(splits=dict(splits), statistics=None, skipped=None)
    else:
        found, loaded = open_splits(source)
        if loaded is not None and loaded.fingerprint() != dataset.fingerprint:
            raise DataError(
                f"{dataset.name}: the images or labels have changed since this trial was planned; run the suite again"
            )
        opened = Opened(
            splits={name: _SplitItems(split, max_images) for name, split in found.items()},
            statistics={name: describe(split.annotations) for name, split in found.items()},
            skipped=loaded.skipped() if loaded else {},
        )
    for name, items in opened.splits.items():
        if not len(items):
            raise DataError(f"{name}: no images; an empty split cannot be trained or measured on")
    return opened


class _SplitItems:
    """A split of the data room."""

    def __init__(self, split: Split, max_images: int | None) -> None:
        self._split = split
        self.annotations = split.annotations.first(max_images) if max_images else split.annotations
        self.class_names = self.annotations.class_names

    def __len__(self) -> int:
        return len(self.annotations)

    def path(self, index: int) -> str | None:
        return self._split.image_path(index)

    def __getitem__(self, index: int) -> Item:
        annotations = self.annotations
        rows = annotations.rows(index)
        pixels = torch.from_numpy(self._split.read_image(index).copy())
        return Item(
            name=annotations.file_names[index],
            image=pixels.permute(2, 0, 1).to(torch.float32).div_(255).contiguous(),
            boxes=torch.from_numpy(annotations.boxes[rows].copy()),
            labels=torch.from_numpy(annotations.labels[rows] + 1),
            crowds=torch.from_numpy(annotations.crowds[rows].copy()),
            areas=torch.from_numpy(annotations.areas[rows].copy()),
        )
