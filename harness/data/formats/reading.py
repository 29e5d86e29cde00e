"""What all readers share: where a split's labels lie, files read whole but not without bound, JSON that says where."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm"})
MAX_BYTES_OF_TEXT = 2**24  # of one image's labels
MAX_BYTES_OF_ONE_IMAGE = 2**26  # LabelMe may carry the picture itself in its JSON
MAX_BYTES = 2**32
_SPLIT_WORDS = re.compile(r"(?:^|[^a-z])(train|training|val|valid|validation|test|testing)(?=$|[^a-z])")
_SPLITS = {"tra": "train", "val": "val", "tes": "test"}
_NOT_JSON_NUMBERS = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\b(?:NaN|Infinity|nan|inf)\b', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the labels of one split lie.

    Attributes:
        annotations: a file, or a folder of one file an image.
        images: folder that image names are relative to; None to look for it.
        listing: text files that name the split's images (VOC, YOLO), or folders of them (YOLO); none for all there are.
        class_names: where a file beside the labels lists them (YOLO).
        base: YOLO: the folder that data.yaml counts from; nothing outside it is read.
        poses: YOLO: lines go on with key points after the box.
        columns: CSV: the columns' names by what they hold.
    """

    format: str
    annotations: Path
    images: Path | None = None
    listing: tuple[Path, ...] = ()
    class_names: tuple[str, ...] | None = None
    columns: Mapping[Any, str] | None = None
    base: Path | None = None
    poses: bool = False


class UnreadableError(Exception):
    """A file, or a part of it, cannot be read: what is wrong, on which line, and in which file if not the one asked."""

    def __init__(self, detail: str, line: int | None = None, file: Path | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.file = file


class EscapeError(UnreadableError):
    """A file names images outside the folder of the data."""


def check_size(path: Path, max_bytes: int) -> None:
    """That a path is a file of at most `max_bytes` bytes.

    Raises:
        UnreadableError: it is none, or larger.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None
    except ValueError as error:  # a zero byte in the name
        raise UnreadableError(str(error)) from None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("no file, but a folder or a device")  # a pipe would never end
    if status.st_size > max_bytes:
        raise UnreadableError(f"larger than {max_bytes:,} bytes")


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The whole file, without a byte-order mark.

    Raises:
        UnreadableError: it is no file, cannot be read, or is larger than `max_bytes` bytes.
    """
    check_size(path, max_bytes)
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """The whole file as UTF-8.

    Raises:
        UnreadableError: as `read_bytes`, or it is not UTF-8 text.
    """
    data = read_bytes(path, max_bytes)
    if b"\0" in data:
        raise UnreadableError("no text: it has zero bytes", data.count(b"\n", 0, data.index(b"\0")) + 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 text ({error.reason})", data.count(b"\n", 0, error.start) + 1) from None


def decode_json(data: bytes, wanted: type[T]) -> T:
    """Typed JSON; NaN and Infinity, which python's own writer leaves there, come as null.

    Raises:
        UnreadableError: it is not JSON, not of the wanted type, or nested absurdly deep.
    """
    try:
        try:
            return msgspec.json.decode(data, type=wanted)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            cleaned = without_nan(data)
            if cleaned == data:
                raise
            return msgspec.json.decode(cleaned, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        line = data.count(b"\n", 0, int(at[1])) + 1 if at else None
        raise UnreadableError(_worded(error), line) from None
    except RecursionError:
        raise UnreadableError("nested absurdly deep") from None


def without_nan(data: bytes) -> bytes:
    """JSON text with null for the numbers that JSON does not know; what stands in strings is left alone."""
    return _NOT_JSON_NUMBERS.sub(lambda found: found[0] if found[0].startswith(b'"') else b"null", data)


def files_under(folder: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """Paths of the files below a folder, relative to it, sorted; hidden ones and linked folders are passed over.

    Raises:
        UnreadableError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UnreadableError(f"{error.filename}: {error.strerror}", file=folder)

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse) if os.path.lexists(folder) else ():
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = Path(parent).relative_to(folder)
        found += [
            (base / name).as_posix()
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ]
    return iter(sorted(found))


def listed(folder: Path) -> list[Path]:
    """What lies directly in a folder, sorted; nothing if there is no such folder.

    Raises:
        UnreadableError: it cannot be listed.
    """
    if not os.path.isdir(folder):
        return []
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UnreadableError(f"{folder}: {error.strerror}", file=folder) from None


def number(text: str) -> float:
    """A decimal number; NaN for whatever is none."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan


def by_split(
    root: Path, files: list[Path], *, single: bool = False, looks: Callable[[Path], bool] = lambda _file: True
) -> dict[str, Path]:
    """Files by the split that a folder above them is called after: the folder that holds all of one.

    Where none is called after a split, all are one: `all`. With `single` each split has one file, which may itself be
    called after it, and that is it. Beside splits, files that are in none do not count if they do not look like labels.

    Raises:
        UnreadableError: with `single`, a split has several files.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(split_of(file if single else file.parent, root), []).append(file)
    if single:
        for split, found in groups.items():
            if len(found) > 1:
                several = ", ".join(str(file.relative_to(root)) for file in found[:5])
                raise UnreadableError(f"several annotation files for {split}: {several}; name one of them")
        return {split: found[0] for split, found in groups.items() if split != "all" or len(groups) == 1}
    if "all" in groups and (len(groups) == 1 or any(map(looks, groups["all"]))):
        return {"all": _around([file for found in groups.values() for file in found])}
    return {split: _around(found) for split, found in groups.items() if split != "all"}


def split_of(file: Path, root: Path) -> str:
    """The split that a path, or the nearest folder above it up to the root, is called after, or `all`."""
    names = reversed(file.relative_to(root).parts)
    return next((found for found in map(split_named, names) if found), "all")


def split_named(name: str) -> str | None:
    """The split that a file or folder is called after: `instances_val2017` is val, `valid` too."""
    found = _SPLIT_WORDS.search(name.lower())
    return _SPLITS[found[1][:3]] if found else None


def _around(files: list[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))


def with_broken(found: list[Path], files: list[Path], root: Path) -> list[Path]:
    """Beside the files of a format, broken and empty ones of splits that have none: they are told, not passed over."""
    known = {split_of(file, root) for file in found}
    return found + [f for f in files if found and split_of(f, root) not in {*known, "all"} and _is_broken(f)]


def _is_broken(path: Path) -> bool:
    """Of JSON: it is none, or holds nothing. Whatever else was not recognised is broken."""
    if path.suffix.lower() != ".json":
        return True
    try:
        content: object = decode_json(read_bytes(path), Any)
    except UnreadableError:
        return True
    return content in ([], {})


def mentions(path: Path, *keys: str) -> bool:
    """Whether the beginning or the end of a JSON file has one of the keys: enough to tell formats apart."""
    text = _ends(path)
    return any(re.search(rb"%s\s*:" % re.escape(json.dumps(key).encode()), text) for key in keys)


def _ends(path: Path) -> bytes:
    window = 2**16
    try:
        with path.open("rb") as stream:
            head = stream.read(window)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - window))
            return head + stream.read(window)
    except OSError:
        return b""


def _worded(error: Exception) -> str:
    """Msgspec's text without what only a programmer understands."""
    return str(error).replace("`$.", "`").replace("JSON is malformed: ", "not JSON: ")
