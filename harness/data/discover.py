"""Find where a dataset's splits lie: the paths that the suite names, or those found below a single `path`.

Does not read annotations; `harness.data.formats` does.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats import FORMATS
from harness.data.formats.reading import Source, UnreadableError, files_under, list_folder, read_text, split_from_name
from harness.suite.formats import WITH_A_UNIT_OF_THEIR_OWN

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.schema import FilesDataset, LabelledImages

SPLITS = ("train", "val", "test")
_CLASS_LISTS = ("classes.txt", "labels.txt", "obj.names")


def find_sources(dataset: FilesDataset) -> dict[str, Source]:
    """Find the splits of a dataset, in the order train, val, test.

    A single folder that is not divided into splits is returned under the name `all`.

    Raises:
        UnreadableError: no annotations are found, they do not fit what the suite says, or a file that names the splits
            is wrong.
    """
    if dataset.path is not None:
        sources = _find(dataset.path, dataset.format)
    else:
        configured = {name: getattr(dataset, name) for name in ("all", *SPLITS)}
        sources = {name: _explicit(split, dataset.format) for name, split in configured.items() if split is not None}
    if dataset.split is not None:
        if len(sources) > 1:
            raise UnreadableError(f"it has the splits {', '.join(sources)} already; remove `split`, or name one folder")
        sources = {"all": next(iter(sources.values()))}
    found = next(iter(sources.values())).format
    if dataset.normalised and found in WITH_A_UNIT_OF_THEIR_OWN:
        raise UnreadableError(f"{found} defines itself what its numbers are fractions of; remove normalised: true")
    ordered = {name: sources[name] for name in ("all", *SPLITS) if name in sources}
    return {
        name: replace(
            source,
            images=dataset.images or source.images,
            columns=dataset.columns,
            class_names=(source.class_names or dataset.classes) if source.format in {"yolo", "labelme"} else None,
            normalised=dataset.normalised,
            on_name_conflict=dataset.on_name_conflict,
        )
        for name, source in ordered.items()
    }


def _find(path: Path, format_name: str) -> dict[str, Source]:
    """Find the splits below one path, in the format `format_name` or, with `auto`, in the first that fits."""
    for name in FORMATS if format_name == "auto" else (format_name,):
        sources = FORMATS[name].find(path)
        if sources:
            return sources
    if format_name in {"auto", "yolo"} and os.path.isdir(path):
        sources = _yolo_folders(path, need_class_list=format_name == "auto")
        if sources:
            return sources
    if format_name != "auto" and os.path.isfile(path):
        return {"all": Source(format=format_name, annotations=path)}  # the reader reports what is wrong with it
    hint = f"none of {', '.join(FORMATS)}" if format_name == "auto" else f"no {format_name}"
    raise UnreadableError(
        f"{hint} annotations are found there; name the format, or the files split by split", file=path
    )


def _explicit(split: LabelledImages, format_name: str) -> Source:
    """Find the one split that the suite names by its own paths; `auto` tries every format."""
    labels = split.annotations
    folder = os.path.isdir(labels)
    formats = FORMATS if format_name == "auto" else (format_name,)
    sources = next((sources for name in formats if (sources := FORMATS[name].find(labels))), {})
    if len(sources) > 1:
        raise UnreadableError(
            f"it holds the splits {', '.join(sources)}, expected one; name the folder or file of one", file=labels
        )
    if sources:
        source = next(iter(sources.values()))
        return replace(source, images=split.images or source.images)
    if folder and (format_name == "yolo" or (format_name == "auto" and any(files_under(labels, frozenset({".txt"}))))):
        names = _class_list(labels, split.images or labels)
        return Source(format="yolo", annotations=labels, images=split.images or labels, class_names=names)
    if format_name == "auto":
        raise UnreadableError(f"none of {', '.join(FORMATS)} annotations are found there; name the format", file=labels)
    return Source(
        format=format_name, annotations=labels, images=split.images
    )  # the reader reports what is wrong with it


def _yolo_folders(path: Path, *, need_class_list: bool) -> dict[str, Source]:
    """Find YOLO images and label files without a data.yaml, in folders named after splits.

    Args:
        path: the folder above them.
        need_class_list: find nothing unless a file lists the classes, which shows that this is YOLO.
    """
    images = path / "images" if os.path.isdir(path / "images") else path
    names = _class_list(path / "labels", path)
    if need_class_list and names is None:
        return {}
    splits = {
        split: folder
        for folder in list_folder(images)
        if (split := split_from_name(folder.name)) and os.path.isdir(folder)
    }
    return {
        split: Source(format="yolo", annotations=path, images=folder, class_names=names, base=path)
        for split, folder in (splits or {"all": images}).items()
    }


def _class_list(*folders: Path) -> tuple[str, ...] | None:
    """Read the classes from a list or a data.yaml in these folders, or up to two folders above the last one."""
    for folder in (*folders, folders[-1].parent, folders[-1].parent.parent):
        for name in _CLASS_LISTS:
            if os.path.isfile(folder / name):
                lines = read_text(folder / name).split("\n")
                return tuple(line.strip() for line in lines if line.strip())
        data = FORMATS["yolo"].find(folder) if os.path.isdir(folder) else {}
        if data:
            return next(iter(data.values())).class_names
    return None
