"""YOLO: one text file per image with lines `class cx cy width height`, in fractions of the image, and a `data.yaml`.

The labels of `…/images/…/a.jpg` are in `…/labels/…/a.txt`, or beside the image if no folder is called `images`. A line
with more numbers is a polygon and is read as its bounding box. An image without a label file has no boxes.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.formats.reading import (
    IMAGE_SUFFIXES,
    MAX_BYTES_OF_TEXT,
    EscapeError,
    Source,
    UnreadableError,
    files_under,
    list_folder,
    number,
    read_text,
)
from harness.data.problems import Findings, Place
from harness.data.raw import RawAnnotationRows
from harness.errors import SuiteError
from harness.suite.yaml_document import Document, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.data.raw import RawAnnotations

_TEXT = frozenset({".txt"})
_YAML = frozenset({".yaml", ".yml"})
_NO_LABELS = {"classes.txt", "predefined_classes.txt", "labels.txt", "notes.txt"}
_NO_LABELS |= {"train.txt", "val.txt", "valid.txt", "test.txt"}  # lists of images, in CVAT's layout
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_BOX = 4  # values after the class
_MIN_POLYGON = 6  # values after the class: three points
_ROUNDING = 1e-5  # by which a fraction written with five decimals may exceed 1
_SURELY_PIXELS = 2.0  # values from here on are pixels, not fractions


def find(path: Path) -> dict[str, Source]:
    """Read a data.yaml, or the one in a folder.

    Raises:
        UnreadableError: data.yaml has an error.
    """
    if os.path.isdir(path):
        candidates = [file for file in list_folder(path) if file.suffix.lower() in _YAML and _is_data_yaml(file)]
        preferred = [file for file in candidates if file.stem == "data"] or candidates
        return find(preferred[0]) if preferred else {}
    if path.suffix.lower() not in _YAML or not _is_data_yaml(path):
        return {}
    try:
        document = _document(path)
        data: Any = document.data
        class_names = _class_names(document, data)
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, path) from None
    root = _root(path, data)
    sources = {}
    for split, keys in _SPLIT_KEYS.items():
        key = next((key for key in keys if data.get(key)), None)
        if key is None:
            continue
        texts = data[key] if isinstance(data[key], list) else [data[key]]
        listing = tuple(_entry(path, key, root, str(text)) for text in texts)
        folders = [entry for entry in listing if entry.suffix.lower() not in _TEXT]
        images = folders[0] if len(listing) == len(folders) == 1 else root
        sources[split] = Source(
            format="yolo",
            annotations=path,
            images=images,
            listing=listing,
            class_names=class_names,
            base=root,
            has_keypoints="kpt_shape" in data,
        )
    if not sources:
        raise UnreadableError("names neither train nor val nor test", file=path)
    return sources


def read(source: Source, findings: Findings) -> RawAnnotations:
    """Read the labels of every image of the listing; a label file without an image counts as a missing image.

    Raises:
        UnreadableError: a list of images cannot be read, or the classes are unknown.
    """
    if source.class_names is None:
        raise UnreadableError("no list of classes: name the data.yaml as path, or give classes in the suite")
    root = source.images or source.annotations
    class_names = source.class_names
    rows = RawAnnotationRows(numbered_by="line", images=root, class_names=class_names)
    image_of: dict[Path, str] = {}
    for image in _images(source, root, findings):
        first_image = image_of.setdefault(image.labels, image.name)
        if first_image != image.name and os.path.lexists(image.labels):
            detail = f"{first_image} has the same labels; give each image a name of its own"
            findings.add("duplicate_image_id", Place(file=str(image.labels), image=image.name, detail=detail))
            continue
        try:
            text = read_text(image.labels, MAX_BYTES_OF_TEXT) if os.path.lexists(image.labels) else ""
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
        box = _bounds(values) if polygon else _corners(values)
        rows.add_box(row, box, int(label), number=line, fractional=not in_pixels)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    x, y, width, height = values
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _bounds(values: list[float]) -> tuple[float, float, float, float]:
    if any(map(math.isnan, values)):
        return math.nan, math.nan, math.nan, math.nan
    xs, ys = values[::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class _Image:
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


def _images(source: Source, root: Path, findings: Findings) -> Iterator[_Image]:
    """Yield the images that a list names; or those in a folder, and one for each label file that has no image there."""
    labels = _LabelFiles(findings)
    for entry in source.listing or (root,):
        if entry.suffix.lower() in _TEXT:
            for line, name in _read_list(entry, root, findings):
                yield _Image(name, labels.find(_label_path(source, root, root / name)), str(entry), line)
            continue
        base = Path(os.path.relpath(entry, root))
        for name in files_under(entry, IMAGE_SUFFIXES):
            yield _Image((base / name).as_posix(), labels.find(_label_path(source, root, entry / name)))
        for name, file in labels.without_image(_label_path(source, root, entry / "any").parent):
            yield _Image((base / name).as_posix(), file)


def _read_list(listing: Path, root: Path, findings: Findings) -> Iterator[tuple[int, str]]:
    """Yield each line's number and its image's path relative to the root.

    A line is absolute or relative to the root; one that begins with `./` is relative to the list's own folder.
    """
    top = Path(os.path.abspath(root))
    try:
        lines = read_text(listing).splitlines()
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, listing) from None
    for line, content in enumerate(lines, start=1):
        text = content.strip()
        if text.startswith("data/") and not os.path.exists(top / text):
            text = text.removeprefix("data/")  # CVAT's lists name images below its own data folder
        start = Path(os.path.abspath(listing.parent)) if text.startswith("./") else top
        path = Path(os.path.normpath(start / text))
        if not text:
            continue
        if "\\" in text or not path.is_relative_to(top):
            findings.add("path_escapes_root", Place(file=str(listing), line=line, image=text))
        else:
            yield line, path.relative_to(top).as_posix()


def _label_path(source: Source, root: Path, image: Path) -> Path:
    """Return the label file of an image by Ultralytics' rule: the last folder called `images` becomes `labels`."""
    if os.path.isdir(source.annotations) and source.base is None:
        return source.annotations / image.relative_to(root).with_suffix(".txt")
    base = source.base or root
    parts = list(image.parent.relative_to(base).parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
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
            file = self._listing(expected.parent).get(expected.name.lower(), expected)
        if file != expected:
            self._findings.add("name_case_mismatch", Place(file=str(file), detail=f"expected {expected.name}"))
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
                file.name.lower(): file for file in list_folder(folder) if file.suffix.lower() in _TEXT
            }
        return self._listings[folder]


def _document(path: Path) -> Document:
    try:
        document = read_document(path)
    except SuiteError as error:
        raise UnreadableError(str(error)) from None
    if not isinstance(document.data, dict):
        raise UnreadableError("expected a mapping with train, val and names", 1)
    return document


def _class_names(document: Document, data: dict[str, Any]) -> tuple[str, ...]:
    """Return the classes in `names`, a list or a mapping from the numbers 0, 1, …; `nc`, if present, must agree.

    Raises:
        UnreadableError: `names` or `nc` is wrong.
    """
    names = data.get("names")
    line = document.lines.get(("names",), 1)
    if isinstance(names, dict):
        if sorted(names) != sorted(map(str, range(len(names)))):
            raise UnreadableError(f"names: expected the numbers 0 to {len(names) - 1}, got {', '.join(names)}", line)
        names = [names[str(position)] for position in range(len(names))]
    if isinstance(names, list) and not all(str(name).isprintable() for name in names):
        raise UnreadableError("names: a name has characters that cannot be shown", line)
    if not isinstance(names, list) or not names:
        raise UnreadableError("names: expected the classes, as a list or as a mapping from their numbers", line)
    texts = tuple(str(name) for name in names)
    if len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
        raise UnreadableError(f"names: expected distinct names, none empty, got {list(texts)}", line)
    if str(data.get("nc", len(texts))) != str(len(texts)):
        raise UnreadableError(f"nc is {data['nc']}, but names has {len(texts)}", document.lines.get(("nc",), 1))
    return texts


def _root(path: Path, data: dict[str, Any]) -> Path:
    """Return the folder that `path` names relative to data.yaml, or data.yaml's own folder if that does not exist.

    A downloaded data.yaml often holds a `path` on another machine.
    """
    root = path.parent / str(data.get("path") or ".")
    return Path(os.path.normpath(root)) if os.path.isdir(root) else path.parent


def _entry(file: Path, key: str, root: Path, text: str) -> Path:
    """Return the folder or list below the root that an entry names.

    Roboflow writes `../train/images` for a folder beside its data.yaml.

    Raises:
        EscapeError: the entry leads out of the root.
    """
    entry, beside = (Path(os.path.normpath(root / name)) for name in (text, text.removeprefix("../")))
    top = os.path.normpath(root)
    if "\\" in text or not (entry.is_relative_to(top) or (beside.is_relative_to(top) and os.path.exists(beside))):
        raise EscapeError(f"{key}: {text} leaves {root}; set path: to the folder that holds all splits", file=file)
    return entry if entry.is_relative_to(top) else beside


def _is_data_yaml(path: Path) -> bool:
    """Return whether a file has `names` and none of a suite's keys; if it is not YAML, its lines are searched."""
    try:
        data = read_document(path).data
    except SuiteError:
        try:
            keys = {line.partition(":")[0].strip() for line in read_text(path, MAX_BYTES_OF_TEXT).splitlines()}
        except UnreadableError:
            return False
    else:
        keys = set(data) if isinstance(data, dict) else set()
    return "names" in keys and not {"suite", "architectures"} & keys
