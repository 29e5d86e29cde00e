"""Where a dataset's splits lie: what the suite names, and what `format: auto` or a lone `path` must find out.

Owns finding; reading is the formats' business.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats import FORMATS
from harness.data.formats.reading import Source, read_text
from harness.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.spec import FilesDataset, LabelledImages

SPLITS = ("train", "val", "test")
_CLASS_LISTS = ("classes.txt", "labels.txt", "obj.names")


def find_sources(dataset: FilesDataset) -> dict[str, Source]:
    """The splits of a dataset in the order train, val, test; `all` where one labelled folder is given.

    Raises:
        DataError: nothing is found, or not what the dataset needs; says what was looked for.
        UnreadableError: a file that names the splits is wrong.
    """
    if dataset.path is not None:
        found = _find(dataset.path, dataset.format)
    else:
        given = {name: getattr(dataset, name) for name in ("all", *SPLITS)}
        found = {name: _explicit(split, dataset.format) for name, split in given.items() if split is not None}
    if dataset.split is not None:
        if len(found) > 1:
            raise DataError(
                f"{dataset.path}: has the splits {', '.join(found)} already; remove `split`, or name one folder"
            )
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
    if wanted == "yolo" and path.is_dir():
        return {"all": _yolo_folder(path)}
    if wanted != "auto" and path.is_file():
        return {"all": Source(format=wanted, annotations=path)}  # reading says what is wrong with it
    known = ", ".join(FORMATS)
    hint = f"none of {known}" if wanted == "auto" else f"no {wanted}"
    raise DataError(f"{path}: {hint} annotations are found there; name the format, or the files split by split")


def _explicit(split: LabelledImages, wanted: str) -> Source:
    """One split as the suite names it; its format found out where it is `auto`."""
    annotations = split.annotations
    if wanted == "yolo" and annotations.is_dir():
        return _yolo_folder(split.images or annotations, annotations)
    found = _find(annotations, wanted)
    if len(found) > 1:
        raise DataError(
            f"{annotations}: holds the splits {', '.join(found)}, expected one; name the folder or file of one"
        )
    source = next(iter(found.values()))
    return replace(source, images=split.images or source.images)


def _yolo_folder(images: Path, labels: Path | None = None) -> Source:
    """Images and label files without a data.yaml: the classes may be listed beside them."""
    inside = images / "images"
    images = inside if labels is None and inside.is_dir() else images
    for folder in (labels or images, images, images.parent, images.parent.parent):
        for name in _CLASS_LISTS:
            if (folder / name).is_file():
                lines = read_text(folder / name).split("\n")
                names = tuple(line.strip() for line in lines if line.strip())
                return Source(format="yolo", annotations=labels or folder / name, images=images, class_names=names)
        data = FORMATS["yolo"].find(folder) if folder.is_dir() else {}
        if data:
            names = next(iter(data.values())).class_names or ()
            return Source(format="yolo", annotations=labels or folder, images=images, class_names=names)
    return Source(format="yolo", annotations=labels or images, images=images)
