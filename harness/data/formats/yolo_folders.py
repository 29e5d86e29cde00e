"""YOLO without a data.yaml: images and label files in folders, by the names of these.

Images and labels lie beside each other by Ultralytics' rule, or apart: in `annotations` and `data`, or in two folders
anywhere. Each of the two is one folder, or has a folder for each split.
"""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats.class_lists import CLASS_LISTS, find_class_names
from harness.data.formats.files import beginning, files_under, list_folder
from harness.data.formats.recognise import are_mostly_unread
from harness.data.formats.source import Source, UnreadableError
from harness.data.image_names import folded, split_from_name
from harness.data.near_labels import IMAGE_FOLDERS, LABEL_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TEXT = frozenset({".txt"})
_LABEL = re.compile(rb"\s*\d+(\.0*)?(\s+[\d.eE+-]+){4,}\s")


def find_folders(path: Path, *, need_class_list: bool) -> dict[str, Source]:
    """Find images and label files in folders named after splits, or in one folder each.

    Args:
        path: the folder above them.
        need_class_list: find nothing unless a file lists the classes, which shows that this is YOLO.
    """
    apart = _labels_and_images(path)
    names = find_class_names(apart[0] if apart else path / "labels", path)
    if need_class_list and names is None:
        return {}
    if apart:
        return _find_apart(*apart, Source(format="yolo", annotations=path, class_names=names))
    images = path / "images" if os.path.isdir(path / "images") else path
    splits = {
        split: folder
        for folder in list_folder(images)
        if (split := split_from_name(folder.name)) and os.path.isdir(folder)
    }
    return {
        split: Source(format="yolo", annotations=path, images=folder, class_names=names, base=path)
        for split, folder in (splits or {"all": images}).items()
    }


def has_label_files(folder: Path) -> bool:
    """Return whether one of the first text files there has lines of numbers, as labels of YOLO have."""
    texts = itertools.islice(files_under(folder, _TEXT), 20)
    return any(_LABEL.match(beginning(folder / name, 1000)) for name in texts)


def has_other_texts(folder: Path) -> bool:
    """Return whether text files of another tool lie there, such as DOTA's, which are no labels of YOLO."""
    names = (name for name in files_under(folder, _TEXT) if os.path.basename(name) not in CLASS_LISTS)
    return are_mostly_unread([folder / name for name in itertools.islice(names, 5)])


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
    apart = _find_apart(path if os.path.isdir(path) else path.parent, images, like)
    missing = [split for split in sources if split not in {*apart, "all", "test"}]
    if missing:
        detail = (
            f"no folder of labels for {' and '.join(missing)}; in a suite, name annotations and images of each split"
        )
        raise UnreadableError(detail, file=path)
    return {split: source for split, source in apart.items() if split in sources or "all" in sources}


def _labels_and_images(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of labels and of images in a folder, if it has both, by other names than the rule joins."""
    if os.path.isdir(folder / "labels") and os.path.isdir(folder / "images"):
        return None
    labels, images = _inside(folder, LABEL_FOLDERS), _inside(folder, IMAGE_FOLDERS)
    return None if folder in {labels, images} or not any(files_under(labels, _TEXT)) else (labels, images)


def _find_apart(labels: Path, images: Path, like: Source) -> dict[str, Source]:
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
