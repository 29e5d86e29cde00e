"""Open Images CSV: one box a row, in fractions of the image's sides, as XMin, XMax, YMin, YMax.

https://storage.googleapis.com/openimages/web/download_v7.html#data-formats

Images have ids without a suffix. The names of the classes stand in `class-descriptions*.csv` near the boxes, the images
without a box in a list of the split's images beside them.
"""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

import numpy as np

from harness.data.formats.csv_columns import header, read_columns
from harness.data.formats.files import files_under, list_folder, read_text
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import sources_of
from harness.data.image_names import split_from_name
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.data.formats.csv_columns import Columns

_SUFFIXES = frozenset({".csv"})
_EDGES = ("XMin", "YMin", "XMax", "YMax")
_COLUMNS = frozenset({"ImageID", "LabelName", *_EDGES})
_BOXES_NAME = "annotations-bbox"  # in the names of the files of boxes
_CLASSES_NAME = "class-descriptions"
_CLASSES_FOLDERS = (".", "metadata", "..", "../metadata", "../annotations", "../csv_folder")
_CLASS_IDS = ("/m/", "/g/", "/t/")  # how Google's class ids begin; other tools have names in their place
_SURELY_PIXELS = 2.0  # as a fraction, the box would end further out than twice its image's side
_MOST = 0.5  # of a file's boxes that end so far out, if the file is in pixels


def find(path: Path) -> dict[str, Source]:
    """Find one file, or files that they or their folders name after splits."""
    if os.path.isfile(path):
        return {"all": Source(format="openimages", annotations=path)} if _has_boxes(path) else {}
    present = [path / name for name in files_under(path, _SUFFIXES)]
    files = [file for file in present if _has_boxes(file)]
    broken = [file for file in present if files and file not in files and _BOXES_NAME in file.name]
    return sources_of(path, files + broken, "openimages")


def _has_boxes(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and _COLUMNS.issubset(header(path))


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one file of boxes.

    Raises:
        UnreadableError: the file is not a CSV of Open Images' boxes, or its boxes are in pixels.
    """
    file = source.annotations
    columns = read_columns(
        file, findings, texts=("ImageID", "LabelName"), numbers=_EDGES, optional=("Confidence", "IsGroupOf")
    )
    images, labels = columns.texts["ImageID"], columns.texts["LabelName"]
    boxes = np.stack([columns.numbers[edge] for edge in _EDGES], axis=1)
    _check_fractions(boxes)
    denied = images.filled & labels.filled & (columns.numbers["Confidence"] == 0)
    _report(str(file), columns, boxes, denied, findings)
    rows = np.flatnonzero(images.filled & labels.filled & ~denied)
    named = np.flatnonzero(images.filled)
    used, first = np.unique(images.indices[named], return_index=True)
    names = [images.distinct[number] for number in used.tolist()]
    empty_names, empty_lines, image_list = _images_without_box(file, set(names), findings)
    classes, numbers = np.unique(labels.indices[rows], return_inverse=True)
    return RawAnnotations(
        class_names=_class_names(file, [labels.distinct[number] for number in classes.tolist()], findings),
        declared=False,
        images=source.images,
        names=(*names, *empty_names),
        files=(*[str(file)] * len(names), *[str(image_list)] * len(empty_names)) if empty_names else (str(file),),
        box_files=(str(file),),
        sizes=np.zeros((len(names) + len(empty_names), 2), dtype=np.int32),
        image_numbers=np.concatenate([columns.lines[named][first], empty_lines]),
        owners=np.searchsorted(used, images.indices[rows]),
        boxes=boxes[rows],
        fractional=np.ones(len(rows), dtype=np.bool_),
        labels=numbers,
        crowds=columns.numbers["IsGroupOf"][rows] == 1,
        areas=np.full(len(rows), np.nan),
        numbers=columns.lines[rows],
        numbered_by="line",
        spellings=_spellings,
    )


def _report(
    file: str, columns: Columns, boxes: NDArray[np.float64], denied: NDArray[np.bool_], findings: Findings
) -> None:
    """Report rows that name no image or no class, and those that say that a class is not in the image (`denied`)."""
    images, labels = columns.texts["ImageID"], columns.texts["LabelName"]
    has_numbers = ~np.isnan(boxes).all(axis=1)

    def report(code: str, bad: NDArray[np.bool_], detail: Callable[[int], str]) -> None:
        rows = np.flatnonzero(bad).tolist()
        places = (
            Place(
                file=file,
                line=int(columns.lines[row]),
                image=images.distinct[images.indices[row]] or None,
                detail=detail(row),
            )
            for row in rows
        )
        findings.add_many(code, len(rows), places)

    report("unreadable_annotation", ~images.filled & (labels.filled | has_numbers), lambda _row: "no image named")
    report("unreadable_annotation", images.filled & ~labels.filled & has_numbers, lambda _row: "box without class")
    report("left_out", denied, lambda row: f"Confidence 0: no {labels.distinct[labels.indices[row]]} is in the image")


def _spellings(image_id: str) -> tuple[str, ...]:
    """Return the names that an image may have: only its id; `harness.data.references` adds the file's suffix."""
    return (image_id,)


def _check_fractions(boxes: NDArray[np.float64]) -> None:
    """Refuse a file of boxes in pixels.

    Raises:
        UnreadableError: most boxes of the file would be far outside their image.
    """
    outermost = np.nanmax(boxes, axis=1, initial=0)
    if len(boxes) and (outermost >= _SURELY_PIXELS).mean() >= _MOST:
        raise UnreadableError(
            f"its boxes reach to {outermost.max():g}: pixels, where Open Images has fractions of the image's sides; "
            "write format: csv with columns: {image: ImageID, class: LabelName}"
        )


def _images_without_box(
    file: Path, names: Collection[str], findings: Findings
) -> tuple[list[str], NDArray[np.int64], Path | None]:
    """Return the images of the split's list that are not in `names`, their lines in the list, and the list.

    The list lies beside the boxes and is named after the same split, `train-images-boxable-with-rotation.csv`, or after
    the same subset of CVAT: `default-images-with-rotation.csv`.
    """
    split = split_from_name(file.stem)
    subset = f"{file.stem.removesuffix(_BOXES_NAME)}image" if file.stem.endswith(_BOXES_NAME) else None
    for path in list_folder(file.parent):
        of_split = split is not None and split_from_name(path.stem) == split and "image" in path.name
        if path.suffix.lower() not in _SUFFIXES or not (of_split or (subset and path.stem.startswith(subset))):
            continue
        words = header(path)
        if words[0] != "ImageID" or {"LabelName", "MaskPath"} & set(words):
            continue
        columns = read_columns(path, findings, texts=("ImageID",), quoted=True)
        listed = columns.texts["ImageID"]
        first = columns.lines[np.unique(listed.indices, return_index=True)[1]].tolist()
        others = [(name, line) for name, line in zip(listed.distinct, first, strict=True) if name and name not in names]
        return [name for name, _ in others], np.array([line for _, line in others], dtype=np.int64), path
    return [], np.zeros(0, dtype=np.int64), None


def _class_names(file: Path, ids: Sequence[str], findings: Findings) -> tuple[str, ...]:
    """Return the names of the classes with these ids; an id without a name is its own name, which is told."""
    name_of: dict[str, str] = {}
    for folder in _CLASSES_FOLDERS:
        for path in list_folder(file.parent / folder):
            if path.suffix.lower() in _SUFFIXES and (_CLASSES_NAME in path.name or path.name == "classes.csv"):
                name_of = _read_classes(path, findings) | name_of
    unnamed = [number for number in ids if number not in name_of and number.startswith(_CLASS_IDS)]
    if unnamed:
        hint = f"not in {_CLASSES_NAME}*.csv" if name_of else f"there is no {_CLASSES_NAME}*.csv beside the boxes"
        findings.add("unnamed_classes", Place(file=str(file), detail=f"{', '.join(unnamed)[:200]}: {hint}"))
    return tuple(name_of.get(number, number) for number in ids)


def _read_classes(path: Path, findings: Findings) -> dict[str, str]:
    """Read the names of classes by their ids."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
    except (UnreadableError, csv.Error) as error:
        findings.add("unreadable_annotation", Place(file=str(path), detail=str(error)))
        return {}
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}
