"""Recognise formats that are not read by the names and the beginnings of a few files.

Owns which files of a folder are looked into. `harness.data.formats.others` has the signatures.
"""

from __future__ import annotations

import mmap
import os
import re
import tarfile
from typing import TYPE_CHECKING

from harness.data.formats.files import ends_of_file, files_under
from harness.data.formats.others import FOR_CLASS_FOLDERS, FOR_IMAGES_ALONE, OTHERS, WEBDATASET, Other
from harness.data.image_names import IMAGE_SUFFIXES, folded, split_from_name
from harness.data.near_labels import IMAGE_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_FILES_OF_A_KIND = 3  # that are looked into, of one suffix in one folder
_MAX_FILES = 100  # that are looked into below one path
_NO_LABELS = {"", ".md", ".html", ".pdf", ".log", ".cache", ".db", ".ini", ".py", ".ipynb"}
_KEY = re.compile(r'"([^"\\]{1,40})"\s*:')
_PATTERNS = {other: (re.compile(other.files), re.compile(other.text)) for other in OTHERS}


def other_format(path: Path) -> tuple[Path, Other] | None:
    """Return the file or folder at or below a path that is of a format which is not read, and that format.

    Of several files the one whose format comes first in the table counts.
    """
    if not os.path.isdir(path):
        other = format_of(path)
        return (path, other) if other else None
    names = list(files_under(path, None))
    found = [(other, path / name) for name in _sample(names) if (other := format_of(path / name))]
    if found:
        other, file = min(found, key=lambda pair: OTHERS.index(pair[0]))
        return file, other
    without_labels = _images_alone(names)
    return (path, without_labels) if without_labels else None


def format_of(file: Path) -> Other | None:
    """Return the format of a file, if it is one that is not read."""
    name = file.name.lower()
    candidates = [other for other, (files, _) in _PATTERNS.items() if files.search(name)]
    if not any(other.text or other.keys for other in candidates):
        return next((other for other in candidates if other is not WEBDATASET or _is_webdataset(file)), None)
    content = ends_of_file(file).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").decode("utf-8", errors="replace")
    keys = set(_KEY.findall(content))
    for other in candidates:
        if keys.issuperset(other.keys) and _PATTERNS[other][1].search(content) and not _has_anywhere(file, other.lacks):
            return other
    return None


def are_mostly_unread(files: Sequence[Path]) -> bool:
    """Return whether most of a few label files are of a format that is not read; False for no file."""
    return sum(format_of(file) is not None for file in files) * 2 > len(files)


def _has_anywhere(file: Path, keys: Sequence[str]) -> bool:
    if not keys:
        return False
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return any(re.search(rb'"%s"\s*:' % re.escape(key.encode()), mapped) for key in keys)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def _is_webdataset(file: Path) -> bool:
    """Return whether the first files in a tar belong to one sample: one stem, two suffixes."""
    try:
        with tarfile.open(file, "r:") as archive:
            members = [member for member, _ in zip(archive, range(4), strict=False) if member.isfile()]
    except (OSError, tarfile.TarError, ValueError, OverflowError):
        return False
    names = [member.name.rpartition("/")[2].partition(".") for member in members[:2]]
    return len(names) > 1 and names[0][0] == names[1][0] and names[0][2] != names[1][2]


def _sample(names: Iterable[str]) -> list[str]:
    """Return the first few files of each suffix in each folder that are no images."""
    counts: dict[tuple[str, str], int] = {}
    chosen = []
    for name in names:
        folder, _, last = name.rpartition("/")
        suffix = os.path.splitext(last)[1].lower()
        counts[folder, suffix] = counts.get((folder, suffix), 0) + 1
        if suffix not in IMAGE_SUFFIXES and counts[folder, suffix] <= _FILES_OF_A_KIND:
            chosen.append(name)
    return chosen[:_MAX_FILES]


def _images_alone(names: Iterable[str]) -> Other | None:
    """Return what a folder is that has images and nothing which could be a label."""
    images = []
    for name in names:
        suffix = os.path.splitext(name)[1].lower()
        if suffix in IMAGE_SUFFIXES:
            images.append(name)
        elif suffix not in _NO_LABELS and not name.rpartition("/")[2].lower().startswith("readme"):
            return None
    folders = {name.rpartition("/")[0] for name in images}
    classes = {last for folder in folders if (last := folder.rpartition("/")[2]) and not _is_plain(last)}
    if not images:
        return None
    return FOR_CLASS_FOLDERS if len(classes) > 1 and "" not in folders else FOR_IMAGES_ALONE


def _is_plain(folder: str) -> bool:
    """Return whether a folder's name stands for a split or for images as such, and not for a class."""
    return split_from_name(folder) is not None or folded(folder) in IMAGE_FOLDERS
