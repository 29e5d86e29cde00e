"""Which images a split of YOLO has, and which label file belongs to each of them.

The labels of `…/images/…/a.jpg` are in `…/labels/…/a.txt`, or beside the image if no folder is called `images`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.formats.class_lists import CLASS_LISTS
from harness.data.formats.files import files_under, images_under, list_folder
from harness.data.formats.image_lists import read_list
from harness.data.image_names import IMAGE_SUFFIXES, folded, mismatch
from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.data.formats.source import Source
    from harness.data.problems import Findings

_TEXT = frozenset({".txt"})
_NO_LABELS = {*CLASS_LISTS, "notes.txt"}
# Lists of images; FiftyOne calls its own images.txt.
_NO_LABELS |= {"train.txt", "val.txt", "valid.txt", "validation.txt", "trainval.txt", "test.txt", "images.txt"}


@dataclass(frozen=True, slots=True)
class ImageWithLabels:
    """An image of the split.

    Attributes:
        name: the image's path relative to the root.
        labels: its label file.
        file: the list that names it, if there is one.
        line: the line in that list, or −1.
    """

    name: str
    labels: Path
    file: str | None = None
    line: int = -1


def images_of(source: Source, root: Path, findings: Findings) -> Iterator[ImageWithLabels]:
    """Yield the images of all lists and folders of a split; one of several that holds no image is an error."""
    labels = _LabelFiles(findings)
    for entry in source.listing or (root,):
        count = 0
        for count, image in enumerate(_images_in(entry, source, root, labels, findings), start=1):  # noqa: B007
            yield image
        if not count and len(source.listing) > 1:
            findings.add("missing_folder", Place(file=str(source.annotations), detail=f"{entry} holds no image"))


def _images_in(
    entry: Path, source: Source, root: Path, labels: _LabelFiles, findings: Findings
) -> Iterator[ImageWithLabels]:
    """Yield the images that a list names; or those in a folder, and one for each label file that has no image there."""
    if entry.suffix.lower() in IMAGE_SUFFIXES and not os.path.isdir(entry):
        yield ImageWithLabels(entry.relative_to(root).as_posix(), labels.find(label_path(source, root, entry)))
    elif not os.path.isdir(entry) and source.listing:
        base = source.base or root
        inside = os.path.relpath(root, base)
        for image in read_list(entry, base, findings):
            name = image.name if inside == "." else os.path.relpath(image.name, inside)
            yield ImageWithLabels(name, labels.find(label_path(source, root, image.file)), str(entry), image.line)
    else:
        base = Path(os.path.relpath(entry, root))
        for name in images_under(entry):
            yield ImageWithLabels((base / name).as_posix(), labels.find(label_path(source, root, entry / name)))
        for name, file in labels.without_image(label_path(source, root, entry / "any").parent):
            yield ImageWithLabels((base / name).as_posix(), file)


def label_path(source: Source, root: Path, image: Path) -> Path:
    """Return the label file of an image: `labels` stands in the path for the last folder that is called `images`.

    That is Ultralytics' rule. Darknet's is the same for `JPEGImages`, where there is such a folder of labels.
    """
    if os.path.isdir(source.annotations) and source.base is None:
        return source.annotations / image.relative_to(root).with_suffix(".txt")
    base = source.base or root
    parts = list(image.parent.relative_to(base).parts)
    for folder in ("images", "JPEGImages"):
        if folder in parts:
            last = len(parts) - 1 - parts[::-1].index(folder)
            if folder == "images" or os.path.isdir(base.joinpath(*parts[:last], "labels")):
                parts[last] = "labels"
                break
    return base.joinpath(*parts, f"{image.stem}.txt")


class _LabelFiles:
    """Finds label files, also by a name in another letter case, and those that belong to no image."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._listings: dict[Path, dict[str, Path]] = {}
        self._used: set[Path] = set()

    def find(self, expected: Path) -> Path:
        """Return the label file, or one whose name differs only in letter case, which adds a warning."""
        file = expected
        if not os.path.isfile(expected):
            file = self._listing(expected.parent).get(folded(expected.name), expected)
        if file != expected:
            self._findings.add(
                mismatch(file.name, expected.name), Place(file=str(file), detail=f"expected {expected.name}")
            )
        self._used.add(file)
        return file

    def without_image(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the name without suffix and the path of each label file below a folder that `find` never returned."""
        for name in files_under(folder, _TEXT):
            file = folder / name
            if file not in self._used and file.name not in _NO_LABELS and not file.name.startswith("README"):
                yield Path(name).with_suffix("").as_posix(), file

    def _listing(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listings:
            self._listings[folder] = {
                folded(file.name): file for file in list_folder(folder) if file.suffix.lower() in _TEXT
            }
        return self._listings[folder]
