"""Find where a dataset's splits lie: the paths that the suite names, or those found below a single `path`.

Does not read annotations; `harness.data.formats` does.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats import FORMATS, yolo_folders
from harness.data.formats.class_lists import find_class_names
from harness.data.formats.files import files_under
from harness.data.formats.recognise import other_format
from harness.data.formats.source import OtherFormatError, Source, UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.schema import FilesDataset, LabelledImages

SPLITS = ("train", "val", "test")
# Formats whose reader needs to know the suite's classes, to tell what a label means.
_WITH_CLASSES = {"yolo", "labelme", "via", "kitti", "labelstudio", "huggingface"}
_TEXT = frozenset({".txt"})


def find_sources(dataset: FilesDataset) -> dict[str, Source]:
    """Find the splits of a dataset, in the order train, val, test.

    A single folder that is not divided into splits is returned under the name `all`.

    Raises:
        UnreadableError: no annotations are found, they do not fit what the suite says, or a file that names the splits
            is wrong.
    """
    if dataset.path is not None:
        sources = _find(dataset.path, dataset.format)
        if dataset.images and next(iter(sources.values())).format == "yolo":
            sources = yolo_folders.with_images(sources, dataset.path, dataset.images)
    else:
        configured = {name: getattr(dataset, name) for name in ("all", *SPLITS)}
        sources = {name: _explicit(split, dataset.format) for name, split in configured.items() if split is not None}
    if dataset.split is not None:
        if len(sources) > 1:
            raise UnreadableError(f"it has the splits {', '.join(sources)} already; remove `split`, or name one folder")
        sources = {"all": next(iter(sources.values()))}
    found = next(iter(sources.values())).format
    unfit = dataset.unfit_setting(found)
    if unfit:
        raise UnreadableError(unfit)
    ordered = {name: sources[name] for name in ("all", *SPLITS) if name in sources}
    return {
        name: replace(
            source,
            images=source.images if found == "yolo" else dataset.images or source.images,
            columns=dataset.columns,
            class_names=(source.class_names or dataset.classes) if source.format in _WITH_CLASSES else None,
            normalised=dataset.normalised,
            on_name_conflict=dataset.on_name_conflict,
            corners_from=dataset.corners_from,
        )
        for name, source in ordered.items()
    }


def formats_beside(dataset: FilesDataset, chosen: str) -> list[str]:
    """Return the formats of other labels that lie beside those which `auto` has chosen.

    CSV does not count, since tables of any meaning lie beside labels.
    """
    path = dataset.path
    if path is None or dataset.format != "auto" or not os.path.isdir(path):
        return []
    found = {name: sources for name in FORMATS if name != "csv" and (sources := _sources_of(path, name))}
    if "yolo" not in found and yolo_folders.has_label_files(path):
        found["yolo"] = yolo_folders.find_folders(path, need_class_list=True)
    # One folder may hold files of two formats, but one file is of one format.
    read = {source.annotations for source in found.pop(chosen, {}).values() if os.path.isfile(source.annotations)}
    return [name for name, sources in found.items() if sources and not read & {s.annotations for s in sources.values()}]


def _sources_of(path: Path, format_name: str) -> dict[str, Source]:
    """Return what one format finds; empty also where it finds something that it cannot use."""
    try:
        return FORMATS[format_name].find(path)
    except UnreadableError:
        return {}


def _find(path: Path, format_name: str) -> dict[str, Source]:
    """Find the splits below one path, in the format `format_name` or, with `auto`, in the first that fits."""
    sources = _recognised(path, format_name)
    if (
        not sources
        and format_name in {"auto", "yolo"}
        and os.path.isdir(path)
        and not yolo_folders.has_other_texts(path)
    ):
        sources = yolo_folders.find_folders(
            path, need_class_list=format_name == "auto" or not yolo_folders.has_label_files(path)
        )
    if sources:
        return sources
    _refuse_others(path, format_name)
    if format_name == "yolo" and os.path.isdir(path):
        return yolo_folders.find_folders(path, need_class_list=False)
    if format_name != "auto" and os.path.isfile(path):
        return {"all": Source(format=format_name, annotations=path)}  # the reader reports what is wrong with it
    hint = f"none of {', '.join(FORMATS)}" if format_name == "auto" else f"no {format_name}"
    raise UnreadableError(
        f"{hint} annotations are found there; name the format, or the files split by split", file=path
    )


def _explicit(split: LabelledImages, format_name: str) -> Source:
    """Find the one split that the suite names by its own paths; `auto` tries every format."""
    labels = split.annotations
    sources = _recognised(labels, format_name)
    if len(sources) > 1:
        raise UnreadableError(
            f"it holds the splits {', '.join(sources)}, expected one; name the folder or file of one", file=labels
        )
    if sources:
        source = next(iter(sources.values()))
        if split.images and source.format == "yolo":
            return next(iter(yolo_folders.with_images(sources, labels, split.images).values()))
        return replace(source, images=split.images or source.images)
    has_texts = os.path.isdir(labels) and any(files_under(labels, _TEXT)) and not yolo_folders.has_other_texts(labels)
    if has_texts and format_name in {"auto", "yolo"}:
        names = find_class_names(labels, split.images or labels)
        return Source(format="yolo", annotations=labels, images=split.images or labels, class_names=names)
    _refuse_others(labels, format_name)
    if format_name == "auto":
        raise UnreadableError(f"none of {', '.join(FORMATS)} annotations are found there; name the format", file=labels)
    # The reader reports what is wrong with it.
    return Source(format=format_name, annotations=labels, images=split.images)


def _recognised(path: Path, format_name: str) -> dict[str, Source]:
    """Return what the named format, or with `auto` the first that fits, finds; empty if it finds nothing."""
    formats = FORMATS if format_name == "auto" else (format_name,)
    return next((sources for name in formats if (sources := FORMATS[name].find(path))), {})


def _refuse_others(path: Path, format_name: str) -> None:
    """Say what a path holds that the named format does not recognise.

    Raises:
        OtherFormatError: it holds another format, one that is read or one that is not.
    """
    if format_name != "auto":
        found = next((name for name in FORMATS if _sources_of(path, name)), None)
        if found:
            raise OtherFormatError(f"this is {found}, and not {format_name}; write format: {found}, or auto", file=path)
    unread = other_format(path)
    if unread:
        file, other = unread
        raise OtherFormatError(str(other), file=file)
