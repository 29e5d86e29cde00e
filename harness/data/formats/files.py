"""Read files of limited size, whole or in part, and list folders.

Owns what is refused: a pipe or a device, a file that is too large, a Git LFS pointer, text in another encoding.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.formats.source import UnreadableError
from harness.data.image_names import IMAGE_SUFFIXES, can_be_read

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES_OF_TEXT = 2**24  # for a text file with the labels of one image
MAX_BYTES_OF_ONE_IMAGE = 2**26  # LabelMe may store the image itself in its JSON
MAX_BYTES = 2**32
_MARKS = (  # the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
    """Read a whole file, without its byte-order mark; text in UTF-16 or UTF-32 with such a mark becomes UTF-8.

    Raises:
        UnreadableError: it is not a file, cannot be read, is too large, or is not what its mark says.
    """
    check_size(path, max_bytes)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None
    if data.startswith(b"version https://git-lfs"):
        raise UnreadableError("a Git LFS pointer, not the file itself: run git lfs pull", 1)
    encoding = marked_encoding(data)
    return decode_text(data, encoding).encode() if encoding else data.removeprefix(codecs.BOM_UTF8)


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding, other than UTF-8, that the byte-order mark at the beginning of a text is of."""
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)


def decode_text(data: bytes, encoding: str) -> str:
    """Decode a text.

    Raises:
        UnreadableError: it is not in that encoding.
    """
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        detail = f"not {encoding.upper()} text ({error.reason})"
        raise UnreadableError(detail, data.count(b"\n", 0, error.start) + 1) from None


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Read a whole file as UTF-8 text, or as UTF-16, which PowerShell writes, or UTF-32, if it begins with that mark.

    Raises:
        UnreadableError: it cannot be read (see `read_bytes`), or is no such text.
    """
    data = read_bytes(path, max_bytes)
    if b"\0" in data:
        raise UnreadableError("no text: it has zero bytes", data.count(b"\n", 0, data.index(b"\0")) + 1)
    return decode_text(data, "utf-8")


def beginning(path: Path, length: int) -> bytes:
    """Return the first bytes of a file; none where it cannot be read, or is no file: a pipe would never end."""
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(length)
    except OSError:
        pass
    return b""


def ends_of_file(path: Path) -> bytes:
    """Return the first and the last bytes of a file, or all of a short one; none where it cannot be read.

    Text in UTF-16 or UTF-32 with a byte-order mark is returned as UTF-8.
    """
    window = 2**16
    data = beginning(path, window)
    if len(data) == window:
        try:
            with path.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - window))
                data += stream.read(window)
        except OSError:
            return b""
    encoding = marked_encoding(data)
    return data.decode(encoding, "replace").encode() if encoding else data


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
