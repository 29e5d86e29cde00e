"""Hugging Face's imagefolder: `metadata.jsonl` in the folder of the images, one image with its objects a line.

https://huggingface.co/docs/datasets/image_dataset#object-detection

Boxes are x, y, width and height in pixels. Classes are names or numbers. What the numbers mean stands in the suite, or
in the head of the README. One file for all images has the splits that their folders are named after.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data.formats.dataset_card import class_names_in
from harness.data.formats.files import beginning, files_under, read_bytes
from harness.data.formats.json_text import decode_json
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import sources_of, stated_splits
from harness.data.formats.values import image_size
from harness.data.image_names import plain_name
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIX = frozenset({".jsonl"})
_NAME = "metadata.jsonl"
_BOXES = ("bbox", "bboxes", "boxes")
_CLASSES = ("categories", "category", "labels", "label", "classes", "class", "category_id", "category_ids", "class_id")
_CROWDS = ("iscrowd", "is_crowd")
_HAS_FILE = re.compile(rb'"file_name"\s*:')
_HAS_BOXES = re.compile(rb'"(objects|bbox|bboxes|boxes)"\s*:')
_BEGINNING = 2**16  # bytes
_SIDES = 4  # x, y, width, height


def find(path: Path) -> dict[str, Source]:
    """Find one file of lines, or those called `metadata.jsonl` in folders that are named after splits."""
    if os.path.isfile(path):
        return {"all": Source(format="huggingface", annotations=path)} if _has_boxes(path) else {}
    files = [path / name for name in files_under(path, _SUFFIX) if name.rpartition("/")[2] == _NAME]
    return sources_of(path, files if any(map(_has_boxes, files)) else [], "huggingface")


def _has_boxes(path: Path) -> bool:
    text = beginning(path, _BEGINNING) if path.suffix.lower() in _SUFFIX else b""
    return bool(_HAS_FILE.search(text) and _HAS_BOXES.search(text))


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one file of lines.

    Raises:
        UnreadableError: the file cannot be read.
    """
    path = str(source.annotations)
    names = source.class_names or class_names_in(source.annotations.parent, _CLASSES)
    rows = RawAnnotationRows(numbered_by="index", images=source.images, written_as_sizes=True)
    unnamed: set[str] = set()
    for line, text in enumerate(read_bytes(source.annotations).split(b"\n"), 1):
        if not text.strip():
            continue
        place = Place(file=path, line=line)
        try:
            entry = decode_json(text, dict[str, Any])
            place = replace(place, image=_file_name(entry))
            objects = _objects(entry)
        except UnreadableError as error:
            findings.add("unreadable_annotation", replace(place, detail=error.detail))
            continue
        if objects is None:
            findings.add("left_out", replace(place, detail="no objects; an image without objects has empty lists"))
            continue
        image = rows.add_image(
            _file_name(entry), file=path, line=line, size=image_size(entry.get("width"), entry.get("height"))
        )
        for number, (sides, category, crowd) in enumerate(objects):
            try:
                box, label = _box(sides), _class_of(category, names)
            except UnreadableError as error:
                findings.add("unreadable_annotation", replace(place, annotation=number, detail=error.detail))
                continue
            if label is None:
                detail = f"{category}, of the {len(names)} classes {', '.join(names)}"[:200]
                findings.add("unknown_class", replace(place, annotation=number, detail=detail))
                continue
            if not names and not isinstance(category, str):
                unnamed.add(label)
            rows.add_box(image, box, label, number=number, crowd=crowd == 1)
    if unnamed:
        numbers = ", ".join(sorted(unnamed, key=int))[:200]
        detail = f"{numbers}: name them in the suite (classes: [NAME, …]), or in the README's dataset_info"
        findings.add("unnamed_classes", Place(file=path, detail=detail))
    raw = _with_classes(rows.build(), names)
    splits = stated_splits([posixpath.dirname(plain_name(name)) for name in raw.names])
    return replace(raw, splits=splits) if len(set(splits)) > 1 else raw


def _with_classes(raw: RawAnnotations, names: Sequence[str]) -> RawAnnotations:
    """Return the annotations with the listed classes in their order, also those without a box, if they list all."""
    if not names or not set(raw.class_names) <= set(names):
        return raw
    number_of = np.array([names.index(name) for name in raw.class_names] or [0], dtype=np.int64)
    return replace(raw, class_names=tuple(names), declared=True, labels=number_of[raw.labels])


def _file_name(entry: Mapping[str, Any]) -> str:
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        raise UnreadableError(f"no file_name, which names the image; its keys are {', '.join(entry)[:200] or 'none'}")
    return name


def _objects(entry: Mapping[str, Any]) -> list[tuple[Any, Any, Any]] | None:
    """Return the box, the category and `iscrowd` of each object; None if the line says nothing about objects.

    They stand in lists by field, as `datasets` writes them, in a list of objects, or in the line itself.

    Raises:
        UnreadableError: the lists have different lengths, or are none.
    """
    objects = entry["objects"] if "objects" in entry else entry if set(_BOXES) & entry.keys() else None
    if objects is None:
        return None
    if isinstance(objects, list):
        if not all(isinstance(fields, dict) for fields in objects):
            raise UnreadableError("objects is a list of something else than objects with a bbox and a category")
        return [(_first(fields, _BOXES), _first(fields, _CLASSES), _first(fields, _CROWDS)) for fields in objects]
    if not isinstance(objects, dict):
        raise UnreadableError(f"objects: expected lists of bbox and categories, got {str(objects)[:80]}")
    columns = {key: objects[key] for key in (*_BOXES, *_CLASSES, *_CROWDS) if isinstance(objects.get(key), list)}
    boxes = next((columns[key] for key in _BOXES if key in columns), None)
    if boxes is None:
        raise UnreadableError(f"no bbox among its objects' lists ({', '.join(objects)[:200] or 'none'})")
    wrong = {key: len(column) for key, column in columns.items() if len(column) != len(boxes)}
    if wrong:
        said = ", ".join(f"{count:,} {key}" for key, count in wrong.items())
        raise UnreadableError(f"{len(boxes):,} boxes and {said}: it is unknown which belong together")
    categories = [columns[key] for key in _CLASSES if key in columns]
    chosen = next((column for column in categories if any(isinstance(label, str) for label in column)), None)
    nothing = [None] * len(boxes)
    crowds = next((columns[key] for key in _CROWDS if key in columns), nothing)
    return list(zip(boxes, chosen or (categories or [nothing])[0], crowds, strict=True))


def _box(box: object) -> tuple[float, float, float, float]:
    """Return an object's corners in pixels; NaN for null, which stands for a NaN in the file."""
    if not isinstance(box, list) or len(box) != _SIDES:
        raise UnreadableError(f"bbox: expected x, y, width and height, got {str(box)[:80]}")
    if any(type(side) not in {int, float, type(None)} for side in box):
        raise UnreadableError(f"bbox: expected four numbers, got {str(box)[:80]}")
    x, y, width, height = (math.nan if side is None else float(side) for side in box)
    return x, y, x + width, y + height


def _class_of(label: object, names: Sequence[str]) -> str | None:
    """Return the name of an object's class; None for a number that has none, though others have.

    Raises:
        UnreadableError: it has no class.
    """
    if isinstance(label, str) and label.strip():
        return label
    if isinstance(label, bool) or not isinstance(label, (int, float)) or not float(label).is_integer():
        if label is None and len(names) == 1:
            return names[0]
        raise UnreadableError(f"expected a category, a name or a number, got {str(label)[:80]}")
    if not names:
        return str(int(label))
    return names[int(label)] if 0 <= label < len(names) else None


def _first(fields: Mapping[str, Any], keys: Sequence[str]) -> object:
    """Return the value of the first of some keys that is there; names of classes before their numbers."""
    values = [fields[key] for key in keys if fields.get(key) is not None]
    return next((value for value in values if isinstance(value, str)), values[0] if values else None)
