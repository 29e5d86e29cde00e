"""Write annotations as YOLO: images/SPLIT, labels/SPLIT and a data.yaml, as Ultralytics and `format: yolo` read them.

A box is written with as many decimals as make it the same pixels when it is read. Crowd regions are left out: YOLO has
none.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np

from harness.data.export.tree import Tree, check_names, distinct_stems, image_names, renaming
from harness.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.data.annotations import Annotations
    from harness.data.loaded import LoadedSplit


def to_yolo(splits: Mapping[str, LoadedSplit]) -> Tree:
    """Return the folder of label files, and where its images belong. A dataset without splits becomes `train`.

    Raises:
        DataError: the name of a class or of an image cannot be written.
    """
    class_names = next(iter(splits.values())).annotations.class_names
    check_names(class_names, "class name", "data.yaml")
    folder_of = {split: "train" if split == "all" and "train" not in splits else split for split in splits}
    files: dict[str, bytes] = {}
    images: dict[str, str | None] = {}
    renamed: list[str] = []
    for split, part in splits.items():
        names = image_names(part)
        for row, (name, stem) in enumerate(zip(names, distinct_stems(names), strict=True)):
            suffix = os.path.splitext(name)[1]
            image = f"images/{folder_of[split]}/{stem}{suffix}"
            images[image] = part.paths[row]
            files[_label_file(image)] = _lines(part.annotations, row).encode()
            renamed += [f"{name} is {stem}{suffix}"] if f"{stem}{suffix}" != name else []
    entries = [f"{folder_of[split]}: images/{folder_of[split]}" for split in splits]
    names_by_number = [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(class_names)]
    files["data.yaml"] = "\n".join([*entries, "names:", *names_by_number, ""]).encode()
    crowds = sum(int(part.annotations.crowds.sum()) for part in splits.values())
    notes = renaming(renamed)
    notes += [f"{counted(crowds, 'crowd region')} left out: YOLO has none"] if crowds else []
    notes += ["data.yaml names no val, which Ultralytics needs"] if "val" not in splits else []
    return Tree(files=files, images=images, notes=tuple(notes))


def _label_file(image: str) -> str:
    """Return the label file of an image by Ultralytics' rule: the last folder called `images` becomes `labels`."""
    *folders, last = image.split("/")
    position = len(folders) - 1 - folders[::-1].index("images")
    folders[position] = "labels"
    return "/".join([*folders, f"{os.path.splitext(last)[0]}.txt"])


def _lines(annotations: Annotations, row: int) -> str:
    """Return a line `class cx cy width height` for each box of an image that is no crowd region."""
    rows = annotations.rows(row)
    width, height = annotations.sizes[row].tolist()
    lines = []
    for (left, top, right, bottom), label, crowd in zip(
        annotations.boxes[rows].tolist(),
        annotations.labels[rows].tolist(),
        annotations.crowds[rows].tolist(),
        strict=True,
    ):
        if not crowd:
            fractions = (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width
            lines.append(f"{label} {' '.join(map(_decimal, (*fractions, (bottom - top) / height)))}\n")
    return "".join(lines)


def _decimal(value: float) -> str:
    return np.format_float_positional(value, trim="-")
