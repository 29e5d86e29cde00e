"""YOLO labels and images in two folders that Ultralytics' rule does not join: `annotations` and `data`, or anywhere.

Each of the two is one folder, or has a folder for each split.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats.files import files_under, list_folder
from harness.data.formats.source import UnreadableError
from harness.data.image_names import folded, split_from_name
from harness.data.near_labels import IMAGE_FOLDERS, LABEL_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.data.formats.source import Source

_TEXT = frozenset({".txt"})


def with_images(sources: Mapping[str, Source], path: Path, images: Path) -> dict[str, Source]:
    """Return the splits found below `path`, with their images in the folder that the user names.

    Raises:
        UnreadableError: the splits are lists of images, or there is no folder of labels for one of them.
    """
    like = next(iter(sources.values()))
    lists = [str(file) for source in sources.values() for file in source.listing if not os.path.isdir(file)]
    if lists:
        detail = f"{', '.join(lists)}: a list of images says itself where they lie; leave out the folder of the images"
        raise UnreadableError(detail, file=path)
    apart = find_apart(path if os.path.isdir(path) else path.parent, images, like)
    missing = [split for split in sources if split not in {*apart, "all", "test"}]
    if missing:
        detail = (
            f"no folder of labels for {' and '.join(missing)}; in a suite, name annotations and images of each split"
        )
        raise UnreadableError(detail, file=path)
    return {split: source for split, source in apart.items() if split in sources or "all" in sources}


def labels_and_images(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of labels and of images in a folder, if it has both, by other names than the rule joins."""
    if os.path.isdir(folder / "labels") and os.path.isdir(folder / "images"):
        return None
    labels, images = _inside(folder, LABEL_FOLDERS), _inside(folder, IMAGE_FOLDERS)
    return None if folder in {labels, images} or not any(files_under(labels, _TEXT)) else (labels, images)


def find_apart(labels: Path, images: Path, like: Source) -> dict[str, Source]:
    """Return a source for each folder of labels named after a split, or one for all labels; otherwise like `like`."""
    of_images = _by_split(images, IMAGE_FOLDERS)
    own = replace(like, listing=(), base=None, absent=False, problems=())
    return {
        split: replace(own, annotations=folder, images=of_images.get(split, _inside(images, IMAGE_FOLDERS)))
        for split, folder in _by_split(labels, LABEL_FOLDERS).items()
    }


def _by_split(folder: Path, words: set[str]) -> dict[str, Path]:
    top = _inside(folder, words)
    splits = {split: _inside(child, words) for child in list_folder(top) if (split := split_from_name(child.name))}
    return {split: child for split, child in splits.items() if os.path.isdir(child)} or {"all": top}


def _inside(folder: Path, words: set[str]) -> Path:
    """Return the folder in a folder that is called after what it holds, or that folder itself."""
    named = (child for child in list_folder(folder) if folded(child.name) in words)
    return next((child for child in named if os.path.isdir(child)), folder)
