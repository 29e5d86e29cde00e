"""KITTI object labels (https://www.cvlibs.net/datasets/kitti/eval_object.php), as NVIDIA TAO and DIGITS use them too.

One text file an image, whose lines are `type truncated occluded alpha left top right bottom` and seven values of the
object in space, perhaps followed by a score. `DontCare` is a region in which nobody labelled the objects: a crowd
region of every class, so that nothing is trained or judged there. `Misc` is a class as any other.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.data.formats.files import MAX_BYTES_OF_TEXT, beginning, files_under, images_under, read_text
from harness.data.formats.image_lists import listed_labels
from harness.data.formats.source import Source, UnreadableError
from harness.data.formats.splits import label_name, split_of
from harness.data.formats.values import number
from harness.data.image_names import IMAGE_SUFFIXES, folded
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_TEXT = frozenset({".txt"})
_VALUES = (14, 15)  # after the type, without and with a score
_BOX = slice(3, 7)  # of these values: left, top, right, bottom
_DONT_CARE = "dontcare"
_LISTS = "imagesets"  # OpenPCDet and others list the images of each split in ImageSets/train.txt
_NO_LABELS = {"classes", "labels", "readme", "notes", "train", "val", "test", "trainval"}  # where no image has the name
_SAMPLE = 20  # files of a folder with text in them, one of which shows the format


def find(path: Path) -> dict[str, Source]:
    """Find KITTI's own layout (training/label_2, ImageSets), folders named after splits, one folder, or one label file.

    Raises:
        UnreadableError: a split has several folders of labels.
    """
    if os.path.isfile(path):
        source = Source(format="kitti", annotations=path, images=_image_folder(path.parent))
        return {"all": source} if path.suffix.lower() in _TEXT and _has_labels([path]) else {}
    folders: dict[Path, list[Path]] = {}
    for name in files_under(path, _TEXT):
        folders.setdefault((path / name).parent, []).append(path / name)
    kinds = {_kind(folder) for folder, files in folders.items() if _has_labels(files)}
    splits: dict[str, list[Path]] = {}
    for folder in folders:
        if _kind(folder) in kinds and folded(folder.name) != _LISTS:  # also one whose label files are all empty
            splits.setdefault(split_of(folder, path), []).append(folder)
    stray = splits.pop("all", []) if len(splits) > 1 else []
    for split, several in splits.items():
        if len(several) > 1:
            shown = ", ".join(str(folder.relative_to(path)) for folder in several[:5])
            raise UnreadableError(f"several folders of labels for {split}: {shown}; name one of them", file=path)
    sources = {
        split: Source(format="kitti", annotations=folder, images=_image_folder(folder))
        for split, (folder,) in splits.items()
    }
    if stray:
        detail = f"belongs to no split, beside the labels of {' and '.join(sources)}"
        unused = tuple(("unused_labels", Place(file=str(folder), detail=detail)) for folder in stray)
        first = next(iter(sources))
        sources[first] = replace(sources[first], problems=unused)
    lists = _lists(path) if len(sources) == 1 else {}
    whole = next(iter(sources.values()), None)
    if whole is None or not lists:
        return sources
    return {
        split: replace(whole, listing=(file,), problems=whole.problems if number == 0 else ())
        for number, (split, file) in enumerate(lists.items())
    }


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read the label file of every image, or of those that the listing names.

    An image without a label file is left out: nobody says that it shows no object.

    Raises:
        UnreadableError: the listing cannot be read.
    """
    images = _Images(source.images)
    rows = RawAnnotationRows(numbered_by="line", images=source.images)
    labels: list[_Label] = []
    for stem, path in _label_files(source, findings):
        names = images.of(stem)
        if not names and folded(stem) in _NO_LABELS:
            continue
        if len(names) > 1:
            detail = f"{names[0]} has the same labels; give each image a name of its own"
            findings.add("duplicate_image_id", Place(file=str(path), image=names[1], detail=detail))
            continue
        try:
            lines = read_text(path, MAX_BYTES_OF_TEXT).splitlines()
        except UnreadableError as error:
            findings.add("unreadable_annotation", Place(file=str(path), line=error.line, detail=error.detail))
            continue
        name = names[0] if names else stem
        row = rows.add_image(name, file=str(path))
        labels += _labels(row, lines, Place(file=str(path), image=name), findings)
    listed = source.class_names or ()
    ignored = {label.name for label in labels if folded(label.name) == _DONT_CARE} - {*listed}
    classes = {label.name for label in labels} - ignored
    for label in labels:
        crowd = label.name in ignored
        for name in sorted(classes) if crowd else (label.name,):
            rows.add_box(label.image, label.box, name, number=label.line, crowd=crowd)
    if not source.listing and os.path.isdir(source.annotations):
        for name in images.without_labels():
            detail = "an image without a label file; one that shows no object has an empty file"
            findings.add("left_out", Place(file=os.path.join(source.images or "", name), detail=detail))
    return rows.build()


@dataclass(frozen=True, slots=True)
class _Label:
    """An object, or a region in which nobody labelled the objects."""

    image: int
    name: str
    box: tuple[float, float, float, float]
    line: int


def _labels(image: int, lines: Iterable[str], place: Place, findings: Findings) -> Iterator[_Label]:
    """Yield what stands in the lines of one file, and report those that cannot be read."""
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            name, box = _parse(text)
        except UnreadableError as error:
            findings.add("unreadable_annotation", replace(place, line=line, detail=error.detail))
            continue
        yield _Label(image, name, box, line)


def _parse(text: str) -> tuple[str, tuple[float, float, float, float]]:
    """Return the type and the box of a line that is not empty.

    A type of several words, which TAO does not allow and people write all the same, ends where the numbers begin.

    Raises:
        UnreadableError: it has another number of values.
    """
    cells = text.split()
    first = next((index for index in range(1, len(cells)) if _is_number(cells[index])), len(cells))
    values = cells[first:]
    if len(values) not in _VALUES or not all(map(_is_number, values)):
        expected = "expected 15 (type truncated occluded alpha x1 y1 x2 y2 …)"
        raise UnreadableError(f"{len(cells)} values, {expected}: {text[:80]}")
    left, top, right, bottom = map(number, values[_BOX])
    return " ".join(cells[:first]), (left, top, right, bottom)


def _is_number(cell: str) -> bool:
    return not math.isnan(number(cell)) or cell.lower().lstrip("+-") == "nan"


def _label_files(source: Source, findings: Findings) -> Iterator[tuple[str, Path]]:
    """Yield the path without suffix, below the folder of the labels, of each label file, and the file."""
    folder = source.annotations
    if os.path.isfile(folder):
        yield folder.stem, folder
        return
    for listing in source.listing:
        for file in listed_labels(listing, folder, ".txt", findings):
            yield label_name(file, folder), file
    for name in files_under(folder, _TEXT) if not source.listing else ():
        yield os.path.splitext(name)[0], folder / name


class _Images:
    """The images of a folder by their paths without suffix, and those whose labels were never asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._names: dict[str, list[str]] = {}
        for name in images_under(folder) if folder else ():
            self._names.setdefault(folded(os.path.splitext(name)[0]), []).append(name)
        self._used: set[str] = set()

    def of(self, stem: str) -> list[str]:
        """Return the images of a label file: their names as the label file has them, with the suffix of the image."""
        inner, suffix = os.path.splitext(stem)
        if suffix.lower() in IMAGE_SUFFIXES and folded(stem) in map(folded, self._names.get(folded(inner), ())):
            self._used.add(folded(inner))  # a.jpg.txt is the label file of a.jpg
            return [stem]
        self._used.add(folded(stem))
        return [stem + os.path.splitext(name)[1] for name in self._names.get(folded(stem), ())]

    def without_labels(self) -> Iterable[str]:
        """Return the images that `of` never returned; none if it returned none: their folders are in this one."""
        found = self._used & self._names.keys()
        return [names[0] for stem, names in self._names.items() if found and stem not in found]


def _image_folder(labels: Path) -> Path | None:
    """Return the folder of the images: `image_2` beside `label_2`, `images` or `data` beside `labels`; or the same."""
    for folder in (labels, labels.parent):
        word = folder.name.lower()
        if not word.startswith("label"):
            continue
        for name in (word.replace("labels", "images").replace("label", "image"), "images", "data", "image_2"):
            images = folder.parent / name / labels.relative_to(folder)
            if os.path.isdir(images):
                return images
    return labels if next(files_under(labels, IMAGE_SUFFIXES), None) else None


def _kind(folder: Path) -> str:
    """Return what the folders of labels of all splits are called (`label_2`, `labels`), or the folder's own name."""
    return next((part for part in reversed(folder.parts) if part.lower().startswith("label")), folder.name)


def _lists(path: Path) -> dict[str, Path]:
    """Return the lists of the images of each split; KITTI's own `test` lists images that have no labels."""
    folders = (path / "ImageSets", path / "ImageSets" / "Main", path / "training" / "ImageSets")
    folder = next((folder for folder in folders if os.path.isfile(folder / "train.txt")), None)
    lists = {split: folder / f"{split}.txt" for split in ("train", "val")} if folder else {}
    return {split: file for split, file in lists.items() if os.path.isfile(file)}


def _has_labels(files: Iterable[Path]) -> bool:
    """Return whether one of the first files with text in them has a line of this format."""
    texts = (text for file in files if (text := beginning(file, 4096).strip()))
    return any(_is_label(text) for text, _ in zip(texts, range(_SAMPLE), strict=False))


def _is_label(text: bytes) -> bool:
    """Return whether a text begins with a line of this format; a class that is a number is YOLO's."""
    first = text.decode("utf-8-sig", errors="replace").splitlines()[0]
    try:
        label, _ = _parse(first)
    except UnreadableError:
        return False
    return not _is_number(label)
