"""Lists of images: text files that name one image a line, as YOLO, Darknet and Pascal VOC have them.

Owns what a line names. Tools write lists with paths of their own machine or working directory, with backslashes, in
quotation marks, with or without suffixes and with comments.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.data.formats.files import read_text
from harness.data.formats.paths import ends_of_path
from harness.data.formats.source import UnreadableError
from harness.data.image_folder import ImageFolder
from harness.data.image_names import IMAGE_SUFFIXES, is_absolute, mismatch, plain_name, why_outside
from harness.data.problems import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.data.problems import Findings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed:
    """An image that a list names.

    Attributes:
        line: the number of the line that names it.
        name: its path relative to the root, as the list has it.
        file: the path of its file, or the one that it is expected at.
    """

    line: int
    name: str
    file: Path


def numbered_lines(listing: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a list that are not blank, from number 1.

    Raises:
        UnreadableError: the list cannot be read.
    """
    try:
        lines = read_text(listing).splitlines()
    except UnreadableError as error:
        raise UnreadableError(error.detail, error.line, listing) from None
    yield from ((number, text) for number, line in enumerate(lines, start=1) if (text := line.strip()))


def parse_line(text: str, find: Callable[[str], T | None]) -> tuple[str, T | None] | None:
    """Return the name in a line, and what `find` returns for it, which may be None; or None if the line is a comment.

    A `#` begins a comment unless `find` finds a name that has it.
    """
    without_comment = re.split(r"\s+#", text, maxsplit=1)[0]
    meanings = [_unquoted(meaning) for meaning in (text, without_comment, text.partition("#")[0].strip())]
    for meaning in dict.fromkeys(meanings):
        found = find(meaning) if meaning else None
        if found is not None:
            return meaning, found
    return None if text.startswith("#") else (meanings[1], None)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def read_list(listing: Path, root: Path, findings: Findings) -> Iterator[Listed]:
    """Yield the images of a list in its order.

    A line is absolute, or relative to the root or the list's own folder, which is meant first if it begins with `./`.
    A line of another machine means the file that its longest end leads to below one of these folders. A line that leads
    out of the root is an error; any other is returned, though there may be no such image.

    Raises:
        UnreadableError: the list cannot be read.
    """
    images = ListedImages(root, listing.parent)
    lines = [(line, parsed) for line, text in numbered_lines(listing) if (parsed := parse_line(text, images.find))]
    for line, (text, found) in lines:
        name = found or images.expected(text)
        if name == "." or why_outside(name):
            findings.add("path_escapes_root", Place(file=str(listing), line=line, image=text))
        else:
            yield Listed(line, name, images.file(name))


def listed_labels(listing: Path, folder: Path, suffix: str, findings: Findings) -> Iterator[Path]:
    """Yield the label files, one an image, of the images that a list names, as VOC's and KITTI's ImageSets do.

    A line is the stem of a label file below `folder`, or a path of its image. Other words may follow it: in the list of
    one class a 1 or -1 does.

    Raises:
        UnreadableError: the list cannot be read.
    """
    labels = ImageFolder(folder)
    for line, text in numbered_lines(listing):
        parsed = parse_line(text, lambda meaning: _label_file(meaning, folder, suffix, labels))
        name, file = parsed or ("", None)
        if file is not None:
            last = plain_name(name).rpartition("/")[2]
            if file.stem not in last:
                findings.add(
                    mismatch(file.stem, last), Place(file=str(listing), line=line, detail=f"the file is {file}")
                )
            yield file
        elif why_outside(plain_name(name)):
            findings.add("path_escapes_root", Place(file=str(listing), line=line, image=name))
        elif name:
            detail = f"{name} is listed, but there is no {folder / _stem(plain_name(name), suffix)}{suffix}"
            findings.add("unreadable_annotation", Place(file=str(listing), line=line, image=name, detail=detail))


def _label_file(text: str, folder: Path, suffix: str, labels: ImageFolder) -> Path | None:
    """Return the label file that a line means: the whole line, or its first word."""
    for name in map(plain_name, (text, text.split(maxsplit=1)[0])):
        for plain in dict.fromkeys((name, _stem(name, suffix))):
            for end in ends_of_path(plain, folder.name, is_file=True, anywhere=True):
                file = folder / f"{end}{suffix}"
                if os.path.isfile(file):
                    return file
                alike = labels.find(f"{end}{suffix}").path  # in another letter case or Unicode form
                if alike is not None:
                    return folder / os.path.relpath(alike, folder)
    return None


def _stem(name: str, suffix: str) -> str:
    """Return a plain name without the suffix of an image or of a label file."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in {suffix, *IMAGE_SUFFIXES} else name


class ListedImages:
    """Finds the images that the lines of one list name."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Search below `root`; `folder` is the list's own."""
        self._root = root
        self._top = os.path.abspath(root)
        self._folder = os.path.relpath(os.path.abspath(folder), self._top)
        self._images = ImageFolder(root)
        self._starts: dict[str, str] = {}  # beginnings of other machines' paths, and what they mean below the root

    def find(self, text: str) -> str | None:
        """Return the plain name, relative to the root, of the image that a line names; None if there is none."""
        names = [self._below(start, text) for start in self._starting_points(text)]
        names += [meant for meant in (self._translated(text),) if meant]
        found = next((name for name in names if self._images.find(name).path), None)
        return found or self._find_end(plain_name(text))

    def expected(self, text: str) -> str:
        """Return the name of an image that is not there, once `find` has seen every line."""
        return self._translated(text) or self._below(self._starting_points(text)[0], text)

    def file(self, name: str) -> Path:
        """Return the path of an image's file, or the one that it is expected at."""
        path = self._images.find(name).path
        return self._root / os.path.relpath(path, self._top) if path else self._root / name

    def _starting_points(self, text: str) -> tuple[str, str]:
        return (self._folder, ".") if text.startswith(("./", ".\\")) else (".", self._folder)

    def _below(self, start: str, text: str) -> str:
        """Return the name relative to the root, which may lead out of it, of a line that is relative to `start`."""
        name = plain_name(text)
        if is_absolute(name):
            inside = os.path.relpath(name, self._top) if os.path.isabs(name) else ".."
            return name if inside.split(os.sep, maxsplit=1)[0] == ".." else inside
        return plain_name(f"{start}/{name}")

    def _translated(self, text: str) -> str | None:
        name = plain_name(text)
        starts = (start for start in self._starts if name.startswith(start))
        return next((self._starts[start] + name.removeprefix(start) for start in starts), None)

    def _find_end(self, name: str) -> str | None:
        """Look for the longest end of a name, and keep what stood before it for `_translated`."""
        anywhere = not os.path.isdir(os.path.join(self._top, os.path.dirname(name)))
        for end in ends_of_path(name, os.path.basename(self._top), is_file=True, anywhere=anywhere):
            for start in ("", f"{self._folder}/"):
                inside = plain_name(start + end)
                if self._images.find(inside).path:
                    self._starts[name.removesuffix(end)] = inside.removesuffix(end)
                    return inside
        return None
