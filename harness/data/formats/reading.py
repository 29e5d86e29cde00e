"""Shared by all readers: where a split's annotations lie, reading files of limited size, JSON errors with a line."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from harness.data.image_names import IMAGE_SUFFIXES, can_be_read, split_from_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.data.problems import Place

T = TypeVar("T")

MAX_BYTES_OF_TEXT = 2**24  # for a text file with the labels of one image
MAX_BYTES_OF_ONE_IMAGE = 2**26  # LabelMe may store the image itself in its JSON
MAX_BYTES = 2**32
_NOT_JSON_NUMBERS = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\b(?:NaN|Infinity|nan|inf)\b', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the annotations of one split lie.

    Attributes:
        format: the name of the annotation format.
        annotations: a file, or a folder with one file per image.
        images: the folder that image names are relative to; None if it must be guessed.
        listing: text files that name the split's images (VOC, YOLO), or folders of images (YOLO); empty for all images.
        class_names: the classes, if a file beside the labels lists them (YOLO) or the suite does (YOLO, LabelMe).
        columns: the names of the CSV columns by their meaning.
        base: for YOLO, the folder that the paths of data.yaml are relative to; nothing outside it is read.
        has_keypoints: for YOLO, whether key points follow the box in each line.
        subsets: for CVAT, the subsets of the project that make up the split; empty for all images.
        normalised: whether boxes are fractions of their image's sides, though the format has pixels.
        on_name_conflict: whether the name of a label file (`stem`) or the name in it (`inside`) says which image it
            belongs to, if both name an image; None if that is an error.
        corners_from: the number of an image's first pixel in VOC files.
        absent: whether none of the folders and lists that are to name the split's images exists.
        problems: what was found wrong with the file that names the splits: codes and places.
    """

    format: str
    annotations: Path
    images: Path | None = None
    listing: tuple[Path, ...] = ()
    class_names: tuple[str, ...] | None = None
    columns: Mapping[Any, str] | None = None
    base: Path | None = None
    has_keypoints: bool = False
    subsets: tuple[str, ...] = ()
    normalised: bool = False
    on_name_conflict: Literal["stem", "inside"] | None = None
    corners_from: int = 1
    absent: bool = False
    problems: tuple[tuple[str, Place], ...] = ()


class UnreadableError(Exception):
    """A file, or a part of it, cannot be read.

    Attributes:
        detail: what is wrong.
        line: the line number, or None.
        file: the file, if it is another one than the caller reads.
        code: the kind of problem that it is.
    """

    code = "unreadable_annotation"

    def __init__(self, detail: str, line: int | None = None, file: Path | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.file = file


class EscapeError(UnreadableError):
    """A file names images outside the dataset's folder."""

    code = "path_escapes_root"


class OtherFormatError(UnreadableError):
    """The labels are in another format than those that are read, or than the one that is named."""

    code = "other_format"


def check_size(path: Path, max_bytes: int) -> None:
    """Check that a path is a file of at most `max_bytes` bytes.

    Raises:
        UnreadableError: it is not a file, or it is larger.
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
    """Read a whole file, without its byte-order mark.

    Raises:
        UnreadableError: it is not a file, cannot be read, or is larger than `max_bytes` bytes.
    """
    check_size(path, max_bytes)
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None
    if data.startswith(b"version https://git-lfs"):
        raise UnreadableError("a Git LFS pointer, not the file itself: run git lfs pull", 1)
    return data


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Read a whole file as UTF-8 text, or as UTF-16, which PowerShell writes, if it begins with the mark of that.

    Raises:
        UnreadableError: it cannot be read (see `read_bytes`), or is no such text.
    """
    data = read_bytes(path, max_bytes)
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    if b"\0" in data and encoding == "utf-8":
        raise UnreadableError("no text: it has zero bytes", data.count(b"\n", 0, data.index(b"\0")) + 1)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"not {encoding.upper()} text ({error.reason})", data.count(b"\n", 0, error.start) + 1
        ) from None


def decode_json(data: bytes, expected_type: type[T], *, strict: bool = True) -> T:
    """Decode JSON into `expected_type`; NaN and Infinity, which Python's own encoder writes, become null.

    Numbers may be text unless `strict`.

    Raises:
        UnreadableError: it is not JSON, does not match the type, or is nested too deep.
    """
    try:
        try:
            return msgspec.json.decode(data, type=expected_type, strict=strict)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            cleaned = without_nan(data)
            if cleaned == data:
                raise
            return msgspec.json.decode(cleaned, type=expected_type, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        offset = re.search(r"\(byte (\d+)\)", str(error))
        line = data.count(b"\n", 0, int(offset[1])) + 1 if offset else None
        raise UnreadableError(_readable(error), line) from None
    except RecursionError:
        raise UnreadableError("nested too deep") from None


def without_nan(data: bytes) -> bytes:
    """Replace NaN and Infinity, which JSON does not have, by null; text inside strings is not changed."""
    return _NOT_JSON_NUMBERS.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", data)


def files_under(folder: Path, suffixes: frozenset[str] | None) -> Iterator[str]:
    """Return the paths of the files below a folder, relative to it and sorted.

    Hidden files and folders are skipped, and so are folders that are symbolic links. None stands for all suffixes.

    Raises:
        UnreadableError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UnreadableError(f"{error.filename}: {error.strerror}", file=folder)

    endings = ("",) if suffixes is None else tuple(suffixes)
    paths = []
    for parent, folders, names in os.walk(folder, onerror=refuse) if os.path.lexists(folder) else ():
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = Path(parent).relative_to(folder).as_posix()
        prefix = "" if base == "." else f"{base}/"
        paths += [prefix + name for name in names if not name.startswith(".") and name.lower().endswith(endings)]
    return iter(sorted(paths))


def images_under(folder: Path) -> Iterator[str]:
    """Return the paths of the images below a folder, relative to it and sorted.

    One that cannot be read is passed over if an image of the same name that can lies beside it, converted from it.

    Raises:
        UnreadableError: a folder cannot be listed.
    """
    names = list(files_under(folder, IMAGE_SUFFIXES))
    converted = {os.path.splitext(name)[0] for name in names if can_be_read(name)}
    return (name for name in names if can_be_read(name) or os.path.splitext(name)[0] not in converted)


def list_folder(folder: Path) -> list[Path]:
    """Return the files and folders directly in a folder, sorted; an empty list if there is no such folder.

    Raises:
        UnreadableError: the folder cannot be listed.
    """
    if not os.path.isdir(folder):
        return []
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UnreadableError(f"{folder}: {error.strerror}", file=folder) from None


def label_name(file: Path, annotations: Path) -> str:
    """Return a label file's path without its suffix, relative to the folder of the labels."""
    return file.relative_to(annotations if file != annotations else file.parent).with_suffix("").as_posix()


def number(text: str) -> float:
    """Parse a decimal number; return NaN for any other text."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan


def group_by_split(
    root: Path,
    files: list[Path],
    *,
    single: bool = False,
    is_annotation: Callable[[Path], bool] = lambda _file: True,
) -> dict[str, Path]:
    """Group annotation files by the split that a folder above them is named after.

    Args:
        root: the folder above all files.
        files: the annotation files.
        single: whether each split has exactly one file, which may itself be named after the split.
        is_annotation: decides whether a file outside every split's folder is an annotation file; others are ignored.

    Returns:
        For each split the common folder of its files or, with `single`, its file. Everything is in `all` if some
        annotation file belongs to no split.

    Raises:
        UnreadableError: with `single`, a split has several files.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(split_of(file if single else file.parent, root), []).append(file)
    if single:
        for split, group in groups.items():
            if len(group) > 1:
                names = ", ".join(str(file.relative_to(root)) for file in group[:5])
                raise UnreadableError(f"several annotation files for {split}: {names}; name one of them")
        return {split: group[0] for split, group in groups.items() if split != "all" or len(groups) == 1}
    if "all" in groups and (len(groups) == 1 or any(map(is_annotation, groups["all"]))):
        return {"all": _common_folder([file for group in groups.values() for file in group])}
    return {split: _common_folder(group) for split, group in groups.items() if split != "all"}


def split_of(file: Path, root: Path) -> str:
    """Return the split that a path, or the nearest folder above it below the root, is named after; `all` if none is."""
    names = reversed(file.relative_to(root).parts)
    return next((split for split in map(split_from_name, names) if split), "all")


def _common_folder(files: list[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))


def add_broken_files(recognised: list[Path], files: list[Path], root: Path) -> list[Path]:
    """Add broken or empty files of splits that have no recognised file, so that they are reported, not ignored.

    Args:
        recognised: the files that are of the format.
        files: all files with the format's suffix.
        root: the folder above all files.
    """
    splits = {split_of(file, root) for file in recognised}
    return recognised + [f for f in files if recognised and split_of(f, root) not in {*splits, "all"} and _is_broken(f)]


def _is_broken(path: Path) -> bool:
    """Return whether a file is not JSON or holds nothing; an unrecognised file with another suffix is broken."""
    if path.suffix.lower() != ".json":
        return True
    try:
        content: object = decode_json(read_bytes(path), Any)
    except UnreadableError:
        return True
    return content in ([], {})


def has_json_key(path: Path, *keys: str) -> bool:
    """Return whether the beginning or the end of a JSON file has one of the keys, which shows the format."""
    text = ends(path)
    return any(re.search(rb"%s\s*:" % re.escape(json.dumps(key).encode()), text) for key in keys)


def ends(path: Path) -> bytes:
    """Return the first and the last bytes of a file, or all of a short one; none where it cannot be read."""
    window = 2**16
    head = beginning(path, window)
    if len(head) < window:
        return head
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - window))
            return head + stream.read(window)
    except OSError:
        return b""


def beginning(path: Path, length: int) -> bytes:
    """Return the first bytes of a file; none where it cannot be read, or is no file: a pipe would never end."""
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(length)
    except OSError:
        pass
    return b""


def _readable(error: Exception) -> str:
    """Return msgspec's error message without its JSON path syntax."""
    return str(error).replace("`$.", "`").replace("JSON is malformed: ", "not JSON: ")
