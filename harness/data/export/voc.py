"""Write annotations as Pascal VOC: Annotations/*.xml, ImageSets/Main/SPLIT.txt, and JPEGImages for the images.

Corners count pixels from 1 and include both ends, with the fewest decimals that give the same box. A crowd region is
written as `difficult`. A box of at most one pixel's width or height cannot be written: its corners would be equal or
swapped. VOC has no list of classes.
"""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from harness.data.export.tree import Tree, check_names, distinct_stems, image_names, renaming, some
from harness.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.data.loaded import LoadedSplit


def to_voc(splits: Mapping[str, LoadedSplit]) -> Tree:
    """Return the folder of label files, and where its images belong. Images that splits call alike get their folders.

    Raises:
        DataError: the name of a class or of an image cannot be written.
    """
    class_names = next(iter(splits.values())).annotations.class_names
    check_names(class_names, "class name", "XML")
    names = _names(splits)
    check_names([name for group in names.values() for name in group], "image name", "XML")
    stems = iter(distinct_stems([name for group in names.values() for name in group]))
    files: dict[str, bytes] = {}
    images: dict[str, str | None] = {}
    thin: list[str] = []
    renamed: list[str] = []
    for split, part in splits.items():
        listed = []
        for row, name in enumerate(names[split]):
            stem = next(stems)
            image = stem + os.path.splitext(name)[1]
            text, count = _xml(part.annotations, row, image)
            listed.append(stem)
            files[f"Annotations/{stem}.xml"] = text.encode()
            images[f"JPEGImages/{image}"] = part.paths[row]
            thin += [name] * count
            renamed += [f"{name} is {image}"] if image != name else []
        if split != "all":
            files[f"ImageSets/Main/{split}.txt"] = "".join(f"{stem}\n" for stem in listed).encode()
    notes = renaming(renamed)
    if thin:
        notes.append(
            f"{counted(len(thin), 'box', 'boxes')} of at most a pixel's width or height left out: {some(thin)}"
        )
    if list(class_names) != _classes_as_read(splits):
        notes.append(f"VOC has no list of classes: give classes: [{', '.join(class_names)}] where their order counts")
    return Tree(files=files, images=images, notes=tuple(notes))


def _names(splits: Mapping[str, LoadedSplit]) -> dict[str, list[str]]:
    """Return the name of each image below JPEGImages: its own, or below its split where two splits have the same."""
    names = {split: image_names(part) for split, part in splits.items()}
    counts = Counter(name.casefold() for group in names.values() for name in group)
    if max(counts.values(), default=0) < 2:  # noqa: PLR2004 - twice
        return names
    return {split: [f"{split}/{name}" for name in group] for split, group in names.items()}


def _classes_as_read(splits: Mapping[str, LoadedSplit]) -> list[str]:
    tables = [part.annotations for part in splits.values()]
    return sorted({table.class_names[label] for table in tables for label in np.unique(table.labels).tolist()})


def _xml(annotations: Annotations, row: int, name: str) -> tuple[str, int]:
    """Return the file of one image, and how many of its boxes it cannot hold."""
    rows = annotations.rows(row)
    width, height = annotations.sizes[row].tolist()
    lines = [
        "<annotation>",
        "  <folder>JPEGImages</folder>",
        f"  <filename>{escape(name)}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    left_out = 0
    for box, label, crowd in zip(
        annotations.boxes[rows], annotations.labels[rows].tolist(), annotations.crowds[rows].tolist(), strict=True
    ):
        corners = _corners(box)
        if corners[0] >= corners[2] or corners[1] >= corners[3]:
            left_out += 1
        else:
            lines += _object(annotations.class_names[label], corners, difficult=crowd)
    return "\n".join([*lines, "</annotation>", ""]), left_out


def _object(class_name: str, corners: Sequence[Decimal], *, difficult: bool) -> list[str]:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    return [
        "  <object>",
        f"    <name>{escape(class_name)}</name>",
        "    <pose>Unspecified</pose>",
        "    <truncated>0</truncated>",
        f"    <difficult>{int(difficult)}</difficult>",
        f"    <bndbox>{''.join(f'<{side}>{value:f}</{side}>' for side, value in sides)}</bndbox>",
        "  </object>",
    ]


def _corners(box: NDArray[np.float32]) -> list[Decimal]:
    """Return a box, float32 [4], xyxy, as xmin, ymin, xmax, ymax of VOC."""
    left, top, right, bottom = (Decimal(np.format_float_positional(edge, trim="-")) for edge in box)
    return [left + 1, top + 1, right, bottom]
