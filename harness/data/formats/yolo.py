"""YOLO: one text file per image with lines `class cx cy width height`, in fractions of the image, and a `data.yaml`.

A line with more numbers is a polygon and is read as its bounding box. An image without a label file has no boxes.
`yolo_files` says where label files lie.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from harness.data.formats import darknet, data_yaml
from harness.data.formats.files import MAX_BYTES_OF_TEXT, list_folder, read_text
from harness.data.formats.shapes import bounds_of_points, corners_around
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.values import number
from harness.data.formats.yolo_files import images_of
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_BOX = 4  # values after the class
_MIN_POLYGON = 6  # values after the class: three points
_ROUNDING = 1e-5  # by which a fraction written with five decimals may exceed 1
_SURELY_PIXELS = 2.0  # values from here on are pixels, not fractions


def find(path: Path) -> dict[str, Source]:
    """Read a data.yaml, or the one in a folder; else Darknet's obj.data or lists of images.

    Raises:
        UnreadableError: one of these files has an error.
    """
    yaml = data_yaml.preferred(list_folder(path) if os.path.isdir(path) else [path])
    return data_yaml.find_splits(yaml) if yaml else darknet.find(path)


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read the labels of every image of the listing; a label file without an image counts as a missing image.

    Raises:
        UnreadableError: a list of images cannot be read, or the classes are unknown.
    """
    if source.class_names is None:
        raise UnreadableError("no list of classes: name the data.yaml as path, or give classes in the suite")
    root = source.images or source.annotations
    class_names = source.class_names
    rows = RawAnnotationRows(
        numbered_by="line", images=root, class_names=class_names, written_as_sizes=True, centred=True
    )
    image_of: dict[Path, str] = {}
    for image in images_of(source, root, findings):
        has_labels = os.path.lexists(image.labels)
        first_image = image_of.setdefault(image.labels, image.name)
        if has_labels and first_image != image.name:
            detail = f"{first_image} has the same labels; give each image a name of its own"
            findings.add("duplicate_image_id", Place(file=str(image.labels), image=image.name, detail=detail))
            continue
        if not has_labels and os.path.lexists(root / image.name):
            findings.add("no_label_file", Place(file=str(image.labels), image=image.name))
        try:
            text = read_text(image.labels, MAX_BYTES_OF_TEXT) if has_labels else ""
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=str(image.labels), line=error.line, detail=error.detail))
            continue
        labels = str(image.labels)
        row = rows.add_image(image.name, file=image.file or labels, line=image.line, box_file=labels)
        _read_lines(rows, row, labels, text, source, findings)
    return rows.build()


def _read_lines(rows: RawAnnotationRows, row: int, file: str, text: str, source: Source, findings: Findings) -> None:
    """Add the boxes of one label file to image row `row`."""
    classes = len(source.class_names or ())
    for line, content in enumerate(text.splitlines(), start=1):
        cells = content.split()
        if not cells:
            continue
        shown = content[:80]
        values = [number(cell) for cell in cells[1:]]
        if source.has_keypoints:
            values = values[:4]
        polygon = len(values) >= _MIN_POLYGON and len(values) % 2 == 0
        if len(values) != _BOX and not polygon:
            detail = f"{len(cells)} values, expected 5 (class cx cy width height) or a polygon: {shown}"
            findings.add("unreadable_annotation", Place(file=file, line=line, detail=detail))
            continue
        label = number(cells[0])
        code = None
        if not label.is_integer():
            code = "unreadable_annotation"
        elif not 0 <= label < classes:
            code = "unknown_class"
        if code:
            findings.add(code, Place(file=file, line=line, detail=shown))
            continue
        largest = max(values)
        if 1 + _ROUNDING < largest < math.inf:
            findings.add("not_normalized", Place(file=file, line=line, detail=shown))
        in_pixels = largest >= _SURELY_PIXELS and (polygon or min(values[2:]) >= 1)
        box = bounds_of_points(values[::2], values[1::2]) if polygon else corners_around(*values)
        rows.add_box(row, box, int(label), number=line, fractional=not in_pixels)
