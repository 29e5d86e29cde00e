"""Every durable write: a reader sees a whole file or none, whatever is killed or full.

A commit is: a temporary file in the same folder, write, fsync, its final name (`harness.store.links`: the first one
wins), fsync of the folder. Modes follow the umask. Owns how bytes reach the disk and what its errors mean; names are
`harness.store.paths`' business.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError, UsageError
from harness.store import links

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

TEMPORARY = links.TEMPORARY
# What another folder would mend. Any other failure is the machine's: full, broken, gone.
_WRONG_FOLDER = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EOPNOTSUPP,
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_RESERVE = 64 * 2**20  # bytes that stay free for the log, the record and the report


class Stream:
    """A file being written. Each `write` writes all of its data or raises an OSError, which `error` keeps."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it."""
        remaining = memoryview(data).cast("B")
        try:
            while remaining:
                remaining = remaining[os.write(self._handle, remaining) :]
        except OSError as error:
            self.error = self.error or error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered here."""


Content = bytes | memoryview | Callable[[Stream], None]


def commit(path: Path, data: bytes | memoryview) -> bool:
    """Write a new file durably; False, and nothing changed, where one of that name is already there.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    with disk_errors(path), _temporary(path, data) as temporary:
        published = links.publish(temporary, path)
        if published:
            _sync_folder(path.parent)
        return published


def replace(path: Path, data: Content, *, check: Callable[[Path], None] = lambda _written: None) -> None:
    """Write a file whether or not it was there: readers see the old one or the new one, whole.

    Args:
        data: the bytes, or a function that writes them piece by piece.
        check: called with the written file before it replaces the old one; raises where the file is not sound.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    with disk_errors(path), _temporary(path, data) as temporary:
        check(Path(temporary))
        os.replace(temporary, path)
        _sync_folder(path.parent)


def write_out(path: Path, data: bytes) -> None:
    """Write to a path that a person gave: a link is followed, and into a pipe or a device the data is written directly.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be written there.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with disk_errors(path), path.open("wb") as stream:
            stream.write(data)
        return
    replace(path, data)


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be created there.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def make_derived_folder(path: Path) -> None:
    """Create a folder of a results folder for what can be made again; a link in its place is removed, not followed.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: it cannot be created there.
    """
    with disk_errors(path):
        if path.is_symlink():
            log.warning("%s: is a link to %s, which is not followed: a folder takes its place", path, os.readlink(path))
            path.unlink()
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Delete a file, if it is there.

    Raises:
        MachineError: the disk is failing.
        UsageError: it cannot be deleted.
    """
    with disk_errors(path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def ensure_space(path: Path, needed: int, what: str) -> None:
    """Check that `needed` bytes, and a reserve for records and logs, are free where `path` lies.

    Args:
        what: the beginning of the message, before the number of bytes, such as `a checkpoint takes`.

    Raises:
        MachineError: there is less space.
    """
    with disk_errors(path):
        free = shutil.disk_usage(existing(path)).free
    if free < needed + _RESERVE:
        raise MachineError(
            f"{path}: {what} {_size(needed)} (and {_size(_RESERVE)} in reserve), but {_disk(path)}; "
            "make room, then run the same command again: finished trials are kept"
        )


def sweep(folder: Path) -> None:
    """Remove temporaries that a killed writer left in `folder` and below it; links are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY):
                with contextlib.suppress(OSError):  # what keeps a file from being deleted is told where one is written
                    os.unlink(os.path.join(place, name))


@contextlib.contextmanager
def _temporary(path: Path, data: Content) -> Iterator[str]:
    """A synced file in the folder of `path`. System call by system call, so that a test can fail each of them."""
    name = str(path.parent / f"{TEMPORARY}{secrets.token_hex(8)}")
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask, as for any other file
    try:
        try:
            _fill(Stream(handle), data)
            os.fsync(handle)
        finally:
            os.close(handle)
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _fill(stream: Stream, data: Content) -> None:
    if not callable(data):
        stream.write(data)
        return
    try:
        data(stream)
    except Exception:
        if stream.error is not None:  # torch.save turns a full disk into an "enforce fail"
            raise stream.error from None
        raise


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of a write to `path` into a MachineError or a UsageError that names the disk."""
    try:
        yield
    except OSError as error:
        problem = f"{path}: cannot be written: {error.strerror}"
        if error.errno in _WRONG_FOLDER:
            raise UsageError(f"{problem}; choose a folder that can be written") from None
        todo = "make room" if error.errno in _FULL else "see that the disk works"
        raise MachineError(
            f"{problem}; {_disk(path)}; {todo}, then run the same command again: finished trials are kept"
        ) from None


def _disk(path: Path) -> str:
    """The disk that a path lies on, in words."""
    try:
        mount = existing(path).absolute()
        while not os.path.ismount(mount):
            mount = mount.parent
        usage = shutil.disk_usage(mount)
    except OSError as error:  # a disk that is gone does not answer
        return f"its disk does not answer: {error.strerror}"
    return f"the disk at {mount} has {_size(usage.free)} of {_size(usage.total)} free"


def existing(path: Path) -> Path:
    """Return the path itself, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
