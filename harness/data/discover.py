"""Where a dataset's splits lie: what the suite names, and what `format: auto` or a lone `path` must find out.

Owns finding; reading is the formats' business.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats import FORMATS
from harness.data.formats.reading import Source, UnreadableError, files_under, listed, read_text, split_named

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.schema import FilesDataset, LabelledImages

SPLITS = ("train", "val", "test")
_CLASS_LISTS = ("classes.txt", "labels.txt", "obj.names")


def find_sources(dataset: FilesDataset) -> dict[str, Source]:
    """The splits of a dataset in the order train, val, test; `all` where one labelled folder is given.

    Raises:
        UnreadableError: nothing is found, or not what the dataset needs, or a file that names the splits is wrong.
    """
    if dataset.path is not None:
        found = _find(dataset.path, dataset.format)
    else:
        given = {name: getattr(dataset, name) for name in ("all", *SPLITS)}
        found = {name: _explicit(split, dataset.format) for name, split in given.items() if split is not None}
    if dataset.split is not None:
        if len(found) > 1:
            raise UnreadableError(f"it has the splits {', '.join(found)} already; remove `split`, or name one folder")
        found = {"all": next(iter(found.values()))}
    named = {name: found[name] for name in ("all", *SPLITS) if name in found}
    return {
        name: replace(
            source,
            columns=dataset.columns,
            class_names=(source.class_names or dataset.classes) if source.format == "yolo" else None,
        )
        for name, source in named.items()
    }


def _find(path: Path, wanted: str) -> dict[str, Source]:
    for name in FORMATS if wanted == "auto" else (wanted,):
        found = FORMATS[name].find(path)
        if found:
            return found
    if wanted in {"auto", "yolo"} and os.path.isdir(path):
        found = _yolo_folders(path, must_know=wanted == "auto")
        if found:
            return found
    if wanted != "auto" and os.path.isfile(path):
        return {"all": Source(format=wanted, annotations=path)}  # reading says what is wrong with it
    hint = f"none of {', '.join(FORMATS)}" if wanted == "auto" else f"no {wanted}"
    raise UnreadableError(
        f"{hint} annotations are found there; name the format, or the files split by split", file=path
    )


def _explicit(split: LabelledImages, wanted: str) -> Source:
    """One split as the suite names it; its format found out where it is `auto`."""
    labels = split.annotations
    folder = os.path.isdir(labels)
    tried = FORMATS if wanted == "auto" else (wanted,)
    found = next((found for name in tried if (found := FORMATS[name].find(labels))), {})
    if len(found) > 1:
        raise UnreadableError(
            f"it holds the splits {', '.join(found)}, expected one; name the folder or file of one", file=labels
        )
    if found:
        source = next(iter(found.values()))
        return replace(source, images=split.images or source.images)
    if folder and (wanted == "yolo" or (wanted == "auto" and any(files_under(labels, frozenset({".txt"}))))):
        names = _class_list(labels, split.images or labels)
        return Source(format="yolo", annotations=labels, images=split.images or labels, class_names=names)
    if wanted == "auto":
        raise UnreadableError(f"none of {', '.join(FORMATS)} annotations are found there; name the format", file=labels)
    return Source(format=wanted, annotations=labels, images=split.images)  # reading says what is wrong with it


def _yolo_folders(path: Path, *, must_know: bool) -> dict[str, Source]:
    """Images and label files without a data.yaml, with the classes listed beside them, in folders named after splits.

    Args:
        must_know: only where a list of classes says that this is YOLO.
    """
    images = path / "images" if os.path.isdir(path / "images") else path
    names = _class_list(path / "labels", path)
    if must_know and names is None:
        return {}
    splits = {
        split: folder for folder in listed(images) if (split := split_named(folder.name)) and os.path.isdir(folder)
    }
    return {
        split: Source(format="yolo", annotations=path, images=folder, class_names=names, base=path)
        for split, folder in (splits or {"all": images}).items()
    }


def _class_list(*folders: Path) -> tuple[str, ...] | None:
    """The classes that a list, or a data.yaml, in these folders or up to two above the last one names."""
    for folder in (*folders, folders[-1].parent, folders[-1].parent.parent):
        for name in _CLASS_LISTS:
            if os.path.isfile(folder / name):
                lines = read_text(folder / name).split("\n")
                return tuple(line.strip() for line in lines if line.strip())
        data = FORMATS["yolo"].find(folder) if os.path.isdir(folder) else {}
        if data:
            return next(iter(data.values())).class_names
    return None
