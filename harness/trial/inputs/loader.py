"""Make batches from items: their order, augmentation and worker processes.

The images of a step and their augmentation depend only on (seed, epoch, index), not on the number of workers or on
what ran before.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import __version__ as torchvision_version
from torchvision import tv_tensors
from torchvision.transforms import v2

from harness.errors import DataError
from harness.trial.inputs.item import Item, Items

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.suite.schema import Augmentation

Key = tuple[int, int]  # epoch, index
Target = dict[str, Tensor]
Batch = list[tuple[Tensor, Target]]

# Includes the build, like torch's own version; the package's metadata leaves it out.
TORCHVISION_VERSION: str = torchvision_version
_SMALLEST_BOX = 1.0  # pixels; a box that augmentation cuts down to less is dropped


class EpochBatches(Sampler[list[Key]]):
    """The shuffled batches of one epoch; call `begin` before each epoch."""

    def __init__(self, images: int, batch_size: int, seed: int) -> None:
        self.epoch = 0
        self._done = 0
        self._images = images
        self._batch_size = batch_size
        self._seed = seed

    def __len__(self) -> int:
        return math.ceil(self._images / self._batch_size)

    def begin(self, epoch: int, *, after: int = 0) -> None:
        """Set the epoch of the next iteration, which skips the first `after` batches."""
        self.epoch = epoch
        self._done = after

    def __iter__(self) -> Iterator[list[Key]]:
        order = torch.randperm(self._images, generator=_generator(self._seed, self.epoch, 0)).tolist()
        for start in range(self._done * self._batch_size, self._images, self._batch_size):
            yield [(self.epoch, index) for index in order[start : start + self._batch_size]]


class TrainingSet(Dataset[tuple[Tensor, Target] | DataError]):
    """Augmented items by (epoch, index).

    A bad item is returned as its error, because an exception raised in a worker process loses its message.
    """

    def __init__(self, items: Items, augmentation: Augmentation, seed: int) -> None:
        self._items = items
        self._augmentation = augmentation
        self._seed = seed

    def __getitem__(self, key: Key) -> tuple[Tensor, Target] | DataError:
        epoch, index = key
        with torch.random.fork_rng(devices=[]):
            generator = _generator(self._seed, epoch, index + 1)
            # Not torch.manual_seed, which also seeds the GPU: its draws in training would repeat from step to step.
            torch.default_generator.manual_seed(generator.initial_seed())
            random.seed(generator.initial_seed())  # a user's Dataset may use this generator or numpy's
            np.random.seed(generator.initial_seed() % 2**32)  # noqa: NPY002 - users draw from the global generator
            try:
                item = self._items[index]
            except DataError as error:
                return error
            return augment(item, self._augmentation)


class EvaluationSet(Dataset[Item | DataError]):
    """Items without augmentation; a bad item is returned as its error."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item | DataError:
        try:
            return self._items[index]
        except DataError as error:
            return error


def training_loader(dataset: TrainingSet, batches: EpochBatches, workers: int) -> DataLoader[Any]:
    """Return a loader of batches, which are lists of (image, target); pass each to `check_batch`."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=list,
        persistent_workers=workers > 0,
        generator=_fixed_generator(),
    )


def evaluation_items(items: Items, workers: int) -> Iterator[Item]:
    """Yield every item in order, read ahead by `workers` processes.

    Raises:
        DataError: an item cannot be used.
    """
    loader = DataLoader(
        EvaluationSet(items),
        batch_size=None,
        num_workers=workers,
        collate_fn=_identity,
        generator=_fixed_generator(),
    )
    for item in loader:
        if isinstance(item, DataError):
            raise item
        yield item


def check_batch(batch: Sequence[tuple[Tensor, Target] | DataError]) -> Batch:
    """Return the batch, or raise the first error in it.

    Raises:
        DataError: an item of the batch cannot be used.
    """
    items: Batch = []
    for item in batch:
        if isinstance(item, DataError):
            raise item
        items.append(item)
    return items


def augment(item: Item, augmentation: Augmentation) -> tuple[Tensor, Target]:
    """Mirror and zoom one item at random, with torch's global generator; crowd regions are left out.

    Returns:
        The image, float32 [3, H, W], of the same size; and the boxes, float32 [N, 4], with their labels, int64 [N].
    """
    keep = ~item.crowds
    height, width = item.image.shape[-2:]
    image = tv_tensors.Image(item.image)
    target = {
        "boxes": tv_tensors.BoundingBoxes(item.boxes[keep], format="XYXY", canvas_size=(height, width)),
        "labels": item.labels[keep],
    }
    steps: list[torch.nn.Module] = [v2.RandomHorizontalFlip(augmentation.hflip)]
    if augmentation.scale_jitter:
        # Large-scale jitter (Ghiasi et al. 2021, arXiv:2012.07177) at the image's own size: the detector resizes the
        # image afterwards, so only a zoom that keeps the canvas changes the size of the objects.
        steps += [
            v2.ScaleJitter((height, width), augmentation.scale_jitter, antialias=True),
            v2.RandomCrop((height, width), pad_if_needed=True, fill=0.5),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(min_size=_SMALLEST_BOX),
        ]
    image, target = v2.Compose(steps)(image, target)
    return image.as_subclass(Tensor), {"boxes": target["boxes"].as_subclass(Tensor), "labels": target["labels"]}


def _identity(item: Any) -> Any:
    return item


def _fixed_generator() -> torch.Generator:
    """Return a generator for a loader's own draw at each start, which would otherwise change the global random state.

    A resumed training would then differ from one without interruption.
    """
    return torch.Generator().manual_seed(0)


def _generator(seed: int, epoch: int, stream: int) -> torch.Generator:
    """Return an independent generator for (seed, epoch, stream), seeded by a 64-bit mix of the three (splitmix64)."""
    mixed = seed
    for part in (epoch, stream):
        mixed = (mixed * 0x9E3779B97F4A7C15 + part + 1) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(mixed >> 1)
