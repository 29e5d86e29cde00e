"""Darknet's way to YOLO: `obj.data` names a list of images for each split and a list of classes; or the lists alone.

Paths are relative to the folder in which Darknet is started, most often the one above `data`. `valid` is the split val.
CVAT's "YOLO 1.1" and Datumaro write the same files. Labels lie beside the images (see `yolo_files`).
"""

from __future__ import annotations

import itertools
import os
import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.formats.class_lists import find_class_names, read_class_list
from harness.data.formats.files import beginning, list_folder
from harness.data.formats.image_lists import ListedImages, numbered_lines, parse_line
from harness.data.formats.paths import describe_missing, find_entry, leaves
from harness.data.formats.source import EscapeError, Source, UnreadableError
from harness.data.formats.yolo_files import label_path
from harness.data.image_names import IMAGE_SUFFIXES, plain_name
from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIST = ".txt"
_SPLIT_KEYS = {"train": ("train",), "val": ("valid", "val", "validation"), "test": ("test",)}
_STARTED_ABOVE = ("data", "cfg")  # folders of Darknet in which its data files lie
_SETTING = re.compile(rb"^\s*(train|valid|val|names)\s*=", re.MULTILINE)
_FIRST = 20  # lines that show what a list is of


def find(path: Path) -> dict[str, Source]:
    """Find the splits that an obj.data, or lists of images in a folder, name; or one list of images.

    Raises:
        UnreadableError: one of these files has an error.
    """
    if not os.path.isdir(path):
        root = path.parent.parent if path.parent.name in _STARTED_ABOVE else path.parent
        if _is_data_file(path):
            return _from_data_file(path, root)
        return {"all": _source(path, path, root, find_class_names(path.parent))} if _is_image_list(path) else {}
    folders = [path, *(path / name for name in _STARTED_ABOVE)]
    files = [file for folder in folders for file in list_folder(folder) if os.path.isfile(file)]
    data_files = [file for file in files if _is_data_file(file)]
    data_files = [file for file in data_files if file.name == "obj.data"] or data_files
    if len(data_files) > 1:
        names = ", ".join(str(file.relative_to(path)) for file in data_files)
        raise UnreadableError(f"several data files of Darknet: {names}; name one of them", file=path)
    return _from_data_file(data_files[0], path) if data_files else _from_lists(files, path)


def _from_data_file(file: Path, root: Path) -> dict[str, Source]:
    settings = {}
    for line, text in numbered_lines(file):
        key, equals, value = text.partition("=")
        if equals and not text.startswith(("#", ";")):
            settings[key.strip().lower()] = (line, value.strip())
    class_names = _class_names(file, root, settings)
    sources = {}
    for split, keys in _SPLIT_KEYS.items():
        key = next((key for key in keys if settings.get(key, (0, ""))[1]), "")
        if not key:
            continue
        line, text = settings[key]
        listing = _find_file(text, file, root)
        if listing is not None:
            sources[split] = _source(file, listing, root, class_names)
        elif leaves(root, text):
            raise EscapeError(f"{key} = {text} leaves {root}; copy the list into it", line, file)
        else:
            code = "missing_test_folder" if split == "test" else "missing_folder"
            place = Place(file=str(file), line=line, detail=f"{key}: {describe_missing(root, split, text, [])}")
            sources[split] = Source(format="yolo", annotations=file, absent=True, problems=((code, place),))
    if not sources:
        raise UnreadableError(
            "names neither train nor valid; add the lists of images: train = FILE, valid = FILE", file=file
        )
    return sources


def _class_names(file: Path, root: Path, settings: dict[str, tuple[int, str]]) -> tuple[str, ...] | None:
    line, text = settings.get("names", (1, ""))
    named = _find_file(text, file, root) if text else None
    if text and named is None:
        lists = [
            other.name for folder in (file.parent, root) for other in list_folder(folder) if other.suffix == ".names"
        ]
        there = f"; {lists[0]} is there" if lists else ""
        raise UnreadableError(f"names: the list {text} does not exist, nor an end of it in {root}{there}", line, file)
    names = read_class_list(named) if named else find_class_names(file.parent, root)
    line, count = settings.get("classes", (1, ""))
    if names is not None and count and count != str(len(names)):
        raise UnreadableError(f"classes is {count}, but there are {len(names)} names", line, file)
    return names


def _find_file(text: str, file: Path, root: Path) -> Path | None:
    """Return the file that an entry of the data file `file` means, below `root` or beside it."""
    return find_entry(root, text, anywhere=True) or find_entry(file.parent, text, anywhere=True)


def _from_lists(files: list[Path], root: Path) -> dict[str, Source]:
    """Return the splits of lists that are called train.txt and so on, if images in them have labels of YOLO.

    Darknet knows no third split, and many call the list that it is to evaluate on test.txt: without another one it is
    read as val.
    """
    named = {file.stem.lower(): file for file in reversed(files) if file.suffix.lower() == _LIST}
    lists = {split: named[key] for split, keys in _SPLIT_KEYS.items() for key in reversed(keys) if key in named}
    if "train" not in lists or not all(map(_is_image_list, lists.values())):
        return {}
    class_names = find_class_names(lists["train"].parent, root)
    sources = {split: _source(listing, listing, root, class_names) for split, listing in lists.items()}
    if not _has_labels(sources["train"], root):
        return {}
    if "val" not in sources and "test" in sources:
        place = Place(file=str(lists["test"]), detail="no list is called valid.txt or val.txt")
        sources["val"] = replace(sources.pop("test"), problems=(("test_read_as_val", place),))
    return sources


def _source(annotations: Path, listing: Path, root: Path, class_names: tuple[str, ...] | None) -> Source:
    """Return the split of one list; if all its images are in one folder, their names are relative to that."""
    images = listing
    if not os.path.isdir(listing):
        texts = [text for _, text in numbered_lines(listing) if not text.startswith("#")]
        one_folder = len({posixpath.dirname(plain_name(text)) for text in texts}) == 1
        first = next(_found(texts, listing, root), "") if one_folder else ""
        images = root / posixpath.dirname(first)
    return Source(
        format="yolo", annotations=annotations, images=images, listing=(listing,), class_names=class_names, base=root
    )


def _found(texts: list[str], listing: Path, root: Path) -> Iterator[str]:
    """Yield the names, relative to `root`, of the images that are there of the first lines of a list."""
    images = ListedImages(root, listing.parent)
    for text in texts[:_FIRST]:
        parsed = parse_line(text, images.find)
        if parsed and parsed[1]:
            yield parsed[1]


def _has_labels(source: Source, root: Path) -> bool:
    (listing,) = source.listing
    names = _found([text for _, text in numbered_lines(listing)], listing, root)
    return any(os.path.isfile(label_path(source, root, root / name)) for name in names)


def _is_data_file(path: Path) -> bool:
    return path.suffix.lower() == ".data" and bool(_SETTING.search(beginning(path, 4096)))


def _is_image_list(file: Path) -> bool:
    """Return whether the first lines of a text file, comments apart, are names of images."""
    if file.suffix.lower() != _LIST:
        return False
    try:
        texts = [text for _, text in itertools.islice(numbered_lines(file), _FIRST)]
    except UnreadableError:
        return False
    parsed = [found for text in texts if (found := parse_line(text, _image_name))]
    return bool(parsed) and all(name for _, name in parsed)


def _image_name(text: str) -> str | None:
    return text if os.path.splitext(text)[1].lower() in IMAGE_SUFFIXES else None
