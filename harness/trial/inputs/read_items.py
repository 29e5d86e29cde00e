"""Read the items of a user's Dataset once, before training does, so that a bad one is told by its index.

Owns the order, the time limit, and what is wrong with an item beyond what `user_dataset` finds in it: an image or a box
of which the detector's resize leaves nothing. A split without a box is told as for any other format.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.data.empty import why_empty
from harness.data.resize import image_text, lost, size_text
from harness.errors import DataError
from harness.trial.inputs.loader import EvaluationSet, Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.suite.schema import ImageSize
    from harness.trial.inputs.item import Item
    from harness.trial.inputs.user_dataset import UserItems

TIME_LIMIT_S = 300.0
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRead:
    """What reading one split found.

    Attributes:
        read: the number of items that were read.
        sizes: int64 [I, 2], (width, height) in pixels of every item; 0 where it was not read or cannot be used.
        boxes: int64 [I], the number of its boxes without crowd regions; 0 likewise.
        problems: an error for each item that cannot be used, by index.
        empty: why the split cannot be used, if all of it was read and no item has a box.
    """

    read: int
    sizes: NDArray[np.int64]
    boxes: NDArray[np.int64]
    problems: tuple[DataError, ...]
    empty: str | None


def read_items(
    splits: Mapping[str, UserItems],
    image_sizes: Sequence[ImageSize],
    *,
    workers: int,
    limit_s: float = TIME_LIMIT_S,
    on_item: Callable[[], object] = lambda: None,
) -> dict[str, SplitRead]:
    """Read every item of every split or, where that takes longer than the limit, a random part of each.

    Args:
        splits: the items of each split.
        image_sizes: the resize of each detector that is to be trained on them.
        workers: the number of processes that read.
        limit_s: seconds; the splits share them by the number of their items.
        on_item: called after each item.
    """
    started, total, before = time.monotonic(), sum(map(len, splits.values())), 0
    found = {}
    for name, items in splits.items():
        before += len(items)
        until = started + limit_s * before / total
        found[name] = _read_split(name, items, image_sizes, workers=workers, until=until, on_item=on_item)
    return found


def joined(problems: Sequence[DataError]) -> DataError:
    """Return one error that lists these: the first ones in full, the others counted."""
    if len(problems) == 1:
        return problems[0]
    lines = [str(problem) for problem in problems[:_SHOWN]]
    more = [f"{len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
    error = DataError(f"{len(problems):,} items cannot be used: {'; '.join([*lines, *more])}")
    for note in getattr(problems[0], "__notes__", ()):
        error.add_note(note)
    return error


def _read_split(
    name: str,
    items: UserItems,
    image_sizes: Sequence[ImageSize],
    *,
    workers: int,
    until: float,
    on_item: Callable[[], object],
) -> SplitRead:
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0)).tolist()
    sizes, boxes = np.zeros((len(items), 2), dtype=np.int64), np.zeros(len(items), dtype=np.int64)
    problems: dict[int, DataError] = {}
    # Only what is told of an item passes from a worker process, not its image.
    told = partial(_tell, image_sizes=tuple(image_sizes))
    loader = Loader(EvaluationSet(items), workers, batch_size=None, sampler=order, collate_fn=told)
    read = 0
    for index, item in zip(order, loader, strict=False):
        if isinstance(item, DataError):
            problems[index] = item
        else:
            sizes[index], boxes[index], lost_texts = item
            if lost_texts:
                problems[index] = DataError(f"{items.where}[{index}]: {'; '.join(lost_texts)}")
        read += 1
        on_item()
        if time.monotonic() > until:
            break
    known = int(boxes.sum()) if read == len(items) and not problems else None
    return SplitRead(
        read=read,
        sizes=sizes,
        boxes=boxes,
        problems=tuple(problems[index] for index in sorted(problems)),
        empty=why_empty(name, images=len(items), boxes=known),
    )


def _tell(
    item: Item | DataError, *, image_sizes: tuple[ImageSize, ...]
) -> DataError | tuple[tuple[int, int], int, list[str]]:
    """Return an item's error, or (width, height), the number of its boxes, and what the resizes leave nothing of."""
    if isinstance(item, DataError):
        return item
    size = np.array([(item.image.shape[2], item.image.shape[1])])
    rows = torch.nonzero(~item.crowds).flatten().tolist()
    corners = item.boxes.numpy()[rows]
    texts = []
    for image_size in image_sizes:
        images, boxes = lost(size, corners, np.zeros(len(corners), dtype=np.int64), image_size)
        if len(images):
            texts.append(f"image: {image_text(size[0], image_size)}; crop it, or raise image_size")
        for row in boxes.tolist():
            text = ", ".join(f"{edge:g}" for edge in corners[row].tolist())
            texts.append(
                f"boxes[{rows[row]}]: [{text}] is thinner than 0.01 pixels at {size_text(image_size)}; leave it out"
            )
    return (item.image.shape[2], item.image.shape[1]), len(rows), texts
