"""CVAT for images 1.1 (https://docs.cvat.ai/docs/manual/advanced/xml_format/): one XML file for all images of a task.

A box, polygon, ellipse, mask or cuboid is read as its bounds, turned ones included. Those of one label in one group are
one object, which is told. Lines, points, skeletons and tags have no area: they are reported and left out. The labels of
the task or project are the classes, in their order. The subsets of a project are its splits.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats.cvat_xml import WITHOUT_AREA, Shape, read_elements
from harness.data.formats.files import beginning, ends_of_file, read_bytes
from harness.data.formats.shapes import Objects
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import find_files
from harness.data.image_names import split_from_name
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows
from harness.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SUFFIX = frozenset({".xml"})
_ROOT = re.compile(rb"<annotations[\s>/]")
_TRACK = re.compile(rb"</?track[\s>]")
_SUBSET = re.compile(rb"s\0?u\0?b\0?s\0?e\0?t\0?=")  # with zero bytes in UTF-16
_MAX_FILES = 100  # of which the first bytes are read: VOC has one XML file an image, CVAT one for all


def find(path: Path) -> dict[str, Source]:
    """Find one file and the subsets in it, or files that they or their folders name after splits.

    Raises:
        UnreadableError: a file has subsets that are named after splits and others that are not.
    """
    sources = find_files(path, "cvat", _SUFFIX, _is_cvat, max_opened=_MAX_FILES)
    if len(sources) != 1:
        return sources
    source = next(iter(sources.values()))
    subsets = _subsets_by_split(source.annotations)
    return {split: replace(source, subsets=tuple(names)) for split, names in subsets.items()} or sources


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read one file, or those of its images that are in the source's subsets.

    Raises:
        UnreadableError: it is not a CVAT file.
    """
    path = str(source.annotations)
    parsed = read_elements(source.annotations)
    images = [image for image in parsed.images if not source.subsets or image.subset in source.subsets]
    folder, below_subset = _image_folder(source, sorted({image.subset for image in images}))
    class_names = parsed.class_names()
    rows = RawAnnotationRows(numbered_by="line", images=folder, class_names=class_names or None)
    grouped = 0
    for image in images:
        if not image.name:
            findings.add("unreadable_annotation", Place(file=path, line=image.line, detail="<image> without name"))
            continue
        name = f"{image.subset}/{image.name}" if below_subset else image.name
        row = rows.add_image(name, file=path, line=image.line, size=image.size)
        place = Place(file=path, image=name)
        objects = _objects(image.shapes, class_names, place, findings)
        grouped += objects.grouped
        for line, label, corners in objects:
            rows.add_box(row, corners, class_names.index(label) if class_names else label, number=line)
    if grouped:
        detail = f"{counted(grouped, 'object')} of several shapes of one label and one group_id"
        findings.add("grouped_shapes", Place(file=path, detail=detail))
    return rows.build()


def _objects(shapes: Iterable[Shape], class_names: Sequence[str], place: Place, findings: Findings) -> Objects:
    """Return the objects of an image, numbered by their lines; report the shapes that are no objects."""
    objects = Objects()
    for shape in shapes:
        here = replace(place, line=shape.line)
        if shape.kind in WITHOUT_AREA:
            findings.add("left_out", replace(here, detail=f"<{shape.kind}> has no area: {shape.label}"))
            continue
        try:
            corners = shape.bounds()
        except UnreadableError as error:
            findings.add("unreadable_annotation", replace(here, detail=error.detail))
            continue
        if not shape.label:
            findings.add("unreadable_annotation", replace(here, detail=f"<{shape.kind}> without label"))
        elif class_names and shape.label not in class_names:
            detail = f"{shape.label} is no label of the task: {', '.join(class_names)}"
            findings.add("unknown_class", replace(here, detail=detail))
        else:
            objects.add(corners, shape.label, number=shape.line, group=shape.group)
    return objects


def _subsets_by_split(path: Path) -> dict[str, list[str]]:
    """Return the names of the file's subsets by the split that they are named after; none if no name is a split's.

    Raises:
        UnreadableError: only some are.
    """
    try:
        has_subsets = _SUBSET.search(read_bytes(path))
        names = sorted({image.subset for image in read_elements(path).images}) if has_subsets else []
    except UnreadableError:
        return {}  # the reader reports it
    splits: dict[str, list[str]] = {}
    for name in names:
        splits.setdefault(split_from_name(name) or "", []).append(name)
    others = splits.pop("", [])
    if splits and others:
        shown = ", ".join(name or "none" for name in others)
        raise UnreadableError(
            f"images of the subset {shown} belong to no split; in CVAT, give their task one of the subsets Train, "
            "Validation and Test, and export again",
            file=path,
        )
    return splits


def _image_folder(source: Source, subsets: Sequence[str]) -> tuple[Path | None, bool]:
    """Return the folder of the images, and whether their names go on below it after a folder named after their subset.

    CVAT exports the images to `images`, those of a project to `images/SUBSET`.
    """
    near = source.annotations.parent
    for folder in (source.images,) if source.images else (near / "images", near):
        if subsets and all(_is_name(subset) and os.path.isdir(folder / subset) for subset in subsets):
            return (folder / subsets[0], False) if len(subsets) == 1 else (folder, True)
    return source.images, False


def _is_name(subset: str) -> bool:
    return subset not in {"", ".", ".."} and not set(subset) & set("/\\\0")


def _is_cvat(path: Path) -> bool:
    """Return whether a file is of CVAT for images; tracks are those of CVAT for video."""
    if path.suffix.lower() not in _SUFFIX or not _ROOT.search(beginning(path, 4096).replace(b"\0", b"")):  # UTF-16
        return False
    return not _TRACK.search(ends_of_file(path).replace(b"\0", b""))
