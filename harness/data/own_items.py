"""What is asked of the process that reads the items of a user's Dataset, and what it answers; both are JSON files.

The user's code needs torch, so `harness.trial.inputs.check` reads the items. Owns the two files' fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from harness.suite.schema import ImageSize, PythonDataset  # noqa: TC001 - pydantic reads the annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsRequest:
    """What to read.

    Attributes:
        dataset: the dataset.
        import_folder: the suite's folder, in which the user's modules are searched.
        image_sizes: the resize of each detector that is to be trained on it.
    """

    dataset: PythonDataset
    import_folder: str
    image_sizes: tuple[ImageSize, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitItems:
    """What was read of a split: of `items` items `read`, which have `boxes` boxes; and an error for each bad item.

    `empty` says why the split cannot be used, if all of it was read and it is without an image or a box.
    """

    items: int
    read: int
    boxes: int
    problems: tuple[str, ...]
    empty: str | None


REQUEST = TypeAdapter(ItemsRequest)
ANSWER: TypeAdapter[Mapping[str, SplitItems]] = TypeAdapter(Mapping[str, SplitItems])
