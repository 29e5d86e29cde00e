"""Make batches from items: their order, augmentation and worker processes.

The images of a step and their augmentation depend only on (seed, epoch, index), not on the number of workers or on
what ran before. Images of files pass from a worker process as uint8, and become float on the device.
"""

from __future__ import annotations

import faulthandler
import itertools
import math
import pickle
import random
import signal
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import __version__ as torchvision_version

from harness import foreign
from harness.errors import DataError
from harness.trial.inputs import shared_memory
from harness.trial.inputs.augment import Target, augment
from harness.trial.inputs.item import Item, Items
from harness.workers import without_main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from harness.suite.schema import Augmentation

Key = tuple[int, int]  # epoch, number
Batch = list[tuple[Tensor, Target]]

# Includes the build, like torch's own version; the package's metadata leaves it out.
TORCHVISION_VERSION: str = torchvision_version
TIMEOUT_S = 300.0  # until a batch; worker processes for which shared memory has no room fall silent
_LATE_S = 5.0  # a limit that is noticed later than this was reached in a pause


class EpochBatches(Sampler[list[Key]]):
    """The shuffled batches of one epoch; call `begin` before each epoch.

    Args:
        images: the number of images.
        repeats: the mean number of times that each image comes in an epoch, at least 1; None: each comes once. A
            fraction is rounded up or down at random in each epoch, so that epochs differ in length.
        total: the number of images after which training ends, with the batch that reaches it: the last epoch is
            shorter, and there are no further ones. None: epochs go on.
        wide: bool [I], which images are not taller than wide: a batch then has images of one orientation, but for the
            last ones of an epoch. None: images come together at random.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        seed: int,
        repeats: NDArray[np.float64] | None = None,
        total: int | None = None,
        wide: NDArray[np.bool_] | None = None,
    ) -> None:
        self.epoch = 0
        self._done = 0
        self._images = images
        self.batch_size = batch_size
        self._seed = seed
        self._repeats = repeats
        self._total = total
        self._wide = wide
        self._begins = [0]  # the number of images before each whole epoch, as far as they were asked for

    def __len__(self) -> int:
        return self.steps(self.epoch)

    def images(self, epoch: int) -> int:
        """Return the number of images of an epoch, with their repetitions."""
        whole = len(self._numbers(epoch))
        if self._total is None:
            return whole
        while len(self._begins) < epoch:
            self._begins.append(self._begins[-1] + len(self._numbers(len(self._begins))))
        left = math.ceil((self._total - self._begins[epoch - 1]) / self.batch_size) * self.batch_size
        return min(whole, max(0, left))

    @property
    def epochs(self) -> int | None:
        """The number of epochs that the total takes; None if there is none."""
        if self._total is None:
            return None
        return next(epoch for epoch in itertools.count(1) if not self.images(epoch + 1))

    def steps(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""
        return math.ceil(self.images(epoch) / self.batch_size)

    def lengths(self, epochs: int = 1) -> set[int]:
        """Return the numbers of images that the batches of the first epochs have."""
        size = self.batch_size
        totals = {self.images(epoch) for epoch in range(1, epochs + 1)}
        return {length for images in totals for length in (min(images, size), images % size or size)}

    def begin(self, epoch: int, *, after: int = 0) -> None:
        """Set the epoch of the next iteration, which skips the first `after` batches."""
        self.epoch = epoch
        self._done = after

    def __iter__(self) -> Iterator[list[Key]]:
        numbers = self._numbers(self.epoch)
        order = torch.randperm(len(numbers), generator=_generator(self._seed, self.epoch, 0)).numpy()
        drawn = numbers[order[: self.images(self.epoch)]]
        if self._wide is not None:
            drawn = self._of_one_orientation(drawn, self._wide[drawn % self._images])
        for start in range(self._done * self.batch_size, len(drawn), self.batch_size):
            yield [(self.epoch, int(number)) for number in drawn[start : start + self.batch_size]]

    def _of_one_orientation(self, drawn: NDArray[np.int64], wide: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the same in an order whose batches are wide or tall; the rest of both comes last.

        Batches stay in the order in which their images were drawn, so that wide and tall ones alternate at random.
        """
        full: list[NDArray[np.int64]] = []
        places: list[int] = []  # in the order drawn, of the image that fills each batch
        rest: list[NDArray[np.int64]] = []
        for of_one in (np.flatnonzero(wide), np.flatnonzero(~wide)):
            count = len(of_one) // self.batch_size * self.batch_size
            batches = of_one[:count].reshape(-1, self.batch_size)
            full += list(batches)
            places += batches[:, -1].tolist()
            rest.append(of_one[count:])
        ordered = [full[index] for index in np.argsort(places)]
        order: NDArray[np.int64] = np.concatenate([*ordered, *rest])
        return drawn[order]

    def _numbers(self, epoch: int) -> NDArray[np.int64]:
        """Return what an epoch has, not shuffled: n + k × images for the k-th repetition of image n."""
        if self._repeats is None:
            return np.arange(self._images)
        chance = torch.rand(self._images, generator=_generator(self._seed, epoch, -1), dtype=torch.float64).numpy()
        counts = np.floor(self._repeats) + (chance < self._repeats % 1)
        return np.concatenate(
            [np.flatnonzero(counts > again) + again * self._images for again in range(int(counts.max()))]
        )


def smallest_part(images: int, parts: int) -> int:
    """Return the number of images in the smallest part of a batch that passes through the model in so many parts."""
    size = math.ceil(images / parts)
    return images - size * ((images - 1) // size)


class TrainingSet(Dataset[tuple[Tensor, Target] | DataError]):
    """Augmented items by (epoch, number); numbers beyond the items are repetitions with an augmentation of their own.

    A bad item is returned as its error, because an exception raised in a worker process loses its message.
    """

    def __init__(self, items: Items, augmentation: Augmentation, seed: int) -> None:
        self._items = items
        self._augmentation = augmentation
        self._seed = seed

    def __getitem__(self, key: Key) -> tuple[Tensor, Target] | DataError:
        epoch, number = key
        with torch.random.fork_rng(devices=[]):
            generator = _generator(self._seed, epoch, number + 1)
            # Not torch.manual_seed, which also seeds the GPU: its draws in training would repeat from step to step.
            torch.default_generator.manual_seed(generator.initial_seed())
            random.seed(generator.initial_seed())  # a user's Dataset may use this generator or numpy's
            np.random.seed(generator.initial_seed() % 2**32)  # noqa: NPY002 - users draw from the global generator
            try:
                item = self._items[number % len(self._items)]
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


class Loader:
    """torch's DataLoader with our settings: a fixed start, and a limit on the time until a batch.

    Iterating raises RuntimeError, in words that say what to do, if the worker processes fall silent or find no room in
    shared memory; DataError if the dataset cannot be sent to worker processes that are not forked. The limit does not
    count a pause in which this process stood still too.

    Args:
        dataset: what the worker processes read from.
        workers: the number of worker processes; 0: this process reads.
        options: those of the DataLoader that make it a loader of batches or of items.
    """

    def __init__(self, dataset: Dataset[Any], workers: int, **options: Any) -> None:
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            num_workers=workers,
            prefetch_factor=shared_memory.PREFETCHED if workers else None,
            timeout=TIMEOUT_S if workers else 0,
            generator=_fixed_generator(),
            worker_init_fn=_show_stacks_when_asked,
            **options,
        )

    def __iter__(self) -> Iterator[Any]:
        batches = self._begin()
        while True:
            asked_at = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if time.monotonic() - asked_at > TIMEOUT_S + _LATE_S:
                    continue
                raise shared_memory.explain(error, timeout_s=TIMEOUT_S) from error
            yield batch

    def _begin(self) -> Iterator[Any]:
        try:
            with without_main(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Got pickle error")  # the exception says more
                return iter(self._loader)
        except (pickle.PicklingError, TypeError, AttributeError) as error:  # python raises each of them for this
            raise DataError(
                f"the dataset cannot be sent to a loader's process: {foreign.described(error)}; make what cannot be "
                "sent, such as an open file, at the first item, or set loader_workers: 0"
            ) from error


def training_loader(dataset: TrainingSet, batches: EpochBatches, workers: int) -> Loader:
    """Return a loader of batches, which are lists of (image, target); pass each to `check_batch`."""
    return Loader(dataset, workers, batch_sampler=batches, collate_fn=list, persistent_workers=workers > 0)


def evaluation_items(items: Items, workers: int) -> Iterator[Item]:
    """Yield every item in order, read ahead by `workers` processes.

    Raises:
        DataError: an item cannot be used.
    """
    for item in Loader(EvaluationSet(items), workers, batch_size=None, collate_fn=_identity):
        if isinstance(item, DataError):
            raise item
        yield item


def batch_bytes(items: Items, batch_size: int, *, with_masks: bool = False) -> int:
    """Return the bytes of the images of the largest batch, and of their objects' masks, from a worker process.

    A user's Dataset does not tell its sizes before it is read: its first images count, read by a worker process that
    returns only their size, because what is opened in this process may not be usable in later worker processes.
    """
    if items.annotations is not None:
        masks = np.diff(items.annotations.offsets) if with_masks else 0
        sizes = items.annotations.sizes.prod(axis=1, dtype=np.int64) * (3 + masks)
        return int(np.sort(sizes)[-batch_size:].sum())
    first = range(min(batch_size, len(items)))
    found = Loader(EvaluationSet(items), 1, batch_size=None, sampler=first, collate_fn=_image_bytes)
    return batch_size * max(found, default=0)


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


def _show_stacks_when_asked(_worker: int) -> None:
    """Let this worker process print its stacks when the runner asks a hung trial; one that is forked does so anyway."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def _identity(item: Any) -> Any:
    return item


def _image_bytes(item: Item | DataError) -> int:
    if isinstance(item, DataError):
        return 0
    return item.image.nbytes + (0 if item.masks is None else item.masks.nbytes)


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
