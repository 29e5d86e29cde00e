"""One writer: a run holds the lock of its results folder from its first write to its last.

The lock is the system's own lock (flock) on the open folder, which nobody can remove, and on the file in it; both end
with the process that holds them, however that ends. The text in the file names the holder, for people, for `harness
status` on another machine, and for file systems without such locks. Owns this one lock; what is written under it is
`harness.store.files`' business.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import stat
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from harness.errors import LockedError, UsageError
from harness.store import files
from harness.store.quantities import Count, Moment  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_HELD = {errno.EWOULDBLOCK, errno.EACCES}
_TRIES = 5
_PAUSE_S = 0.05
_SILENT_S = 300.0  # where only the file's text says who is at work: so old a text is of somebody dead
_SIGN_OF_LIFE_S = 30.0
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK  # a link leads elsewhere, a pipe would wait for a writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds the lock: its machine, its id, and since when (UTC, ISO 8601)."""

    host: str
    pid: Count
    since: Moment


_HOLDER = TypeAdapter(Holder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Lock]:
    """Hold the lock at `path` while the block runs.

    Raises:
        LockedError: another process holds it; the message says which one, where and since when.
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    held = Lock(path)
    try:
        yield held
    finally:
        held.release()


class Lock:
    """The lock of a folder while it is held: on the folder itself, and on the file at `path` in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._holder = Holder(host=socket.gethostname(), pid=os.getpid(), since=_now())
        with files.disk_errors(path.parent):
            self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self._file, self._lost = -1, False
        try:
            self._on_folder = self._take(self._folder)
            self._file, on_file = self._open()
            self._only_text = not (self._on_folder or on_file)
            if self._only_text:
                log.warning("%s: its file system has no locks; only this file's text keeps a second run out", path)
                self._refuse_the_living()
            self._sign()
        except BaseException:
            self._let_go()
            raise

    def keep(self) -> None:
        """See that the lock is what it was, and put its file back where somebody removed or replaced it.

        Raises:
            LockedError: the folder is not the one that was locked, or another run has taken it.
        """
        if not _is_at(self._folder, self._path.parent):
            raise LockedError(
                f"{self._path.parent}: was removed, moved or replaced while this run wrote to it; put it back, or give "
                "another folder with --results, then run the same command again"
            )
        if self._only_text and _read_at(self._path) not in {None, self._holder}:
            raise LockedError(_refusal(self._path))
        if not _is_at(self._file, self._path):
            self._put_back()
        elif self._only_text and _age_s(self._path) > _SIGN_OF_LIFE_S:
            os.utime(self._file)

    def release(self) -> None:
        """End it, and remove the text from the file."""
        with contextlib.suppress(OSError):  # the lock goes with the handle; the text is only for people
            os.ftruncate(self._file, 0)
        self._let_go()

    def _let_go(self) -> None:
        for handle in (self._file, self._folder):
            if handle >= 0:
                os.close(handle)

    def _put_back(self) -> None:
        if not self._lost:
            log.warning("%s: was removed or replaced, and is put back: this run goes on", self._path)
        self._lost = True
        try:
            new, _ = self._open()
        except UsageError:  # a folder or a link has its name
            if not self._on_folder:
                raise
            return  # nobody can come in as long as the folder is locked
        os.close(self._file)
        self._file, self._lost = new, False
        self._sign()

    def _open(self) -> tuple[int, bool]:
        """Open the file and lock it; also whether that could be done."""
        while True:
            with files.disk_errors(self._path):
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT | _SAFELY, 0o666)
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    os.close(handle)
                    raise UsageError(f"{self._path}: is no file; remove it")
            try:
                taken = self._take(handle)
            except LockedError:
                os.close(handle)
                raise
            if _is_at(handle, self._path):
                return handle, taken
            os.close(handle)  # removed or replaced meanwhile

    def _take(self, handle: int) -> bool:
        """Lock an open file or folder; False where its file system has no such locks."""
        for _ in range(_TRIES):
            free = _try(handle, fcntl.LOCK_EX)
            if free is not False:
                return free is True
            time.sleep(_PAUSE_S)  # somebody may only be looking (`holder`)
        raise LockedError(_refusal(self._path))

    def _refuse_the_living(self) -> None:
        """Where there are no locks, the text of a run that shows signs of life keeps this one out."""
        written = _read_at(self._path)
        if written is not None and _lives(written, self._path):
            raise LockedError(_refusal(self._path))
        self._sign()
        time.sleep(_PAUSE_S)  # of two that start together, the one that signed last goes on
        if _read_at(self._path) != self._holder:
            raise LockedError(_refusal(self._path))

    def _sign(self) -> None:
        with files.disk_errors(self._path):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(asdict(self._holder)).encode() + b"\n", 0)


def holder(path: Path) -> Holder | None:
    """The process that holds the lock now; None where there is none.

    Seen from another machine that does not share locks, it is the last holder that did not end in order.
    """
    free = [_is_free(path.parent), _is_free(path)]
    written = _read_at(path)
    if False in free:
        return written or Holder(host="another process", pid=0, since="")
    if written is None or (True in free and written.host == socket.gethostname()):
        return None
    return written if True in free or _lives(written, path) else None


def _is_free(path: Path) -> bool | None:
    """Whether nobody holds the lock of a file or folder; None where it is not there, or has no locks."""
    try:
        handle = os.open(path, os.O_RDONLY | _SAFELY)
    except OSError:
        return None
    try:
        return _try(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _try(handle: int, how: int) -> bool | None:
    """Whether an open file or folder could be locked; None where its file system has no such locks."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file or folder is the one that lies at `path`; also where the file system does not say."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _lives(written: Holder, path: Path) -> bool:
    """Whether who signed the file is at work, as far as can be told without locks."""
    if written.host != socket.gethostname() or written.pid == os.getpid():
        return _age_s(path) < _SILENT_S
    try:
        os.kill(written.pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _read_at(path: Path) -> Holder | None:
    """Who signed the file; None where it is being written, or left empty, or no such file."""
    try:
        handle = os.open(path, os.O_RDONLY | _SAFELY)
    except OSError:
        return None
    try:
        return _HOLDER.validate_json(os.pread(handle, 4096, 0), strict=True)
    except (ValidationError, OSError):
        return None
    finally:
        os.close(handle)


def _refusal(path: Path) -> str:
    other = holder(path)
    who = f"process {other.pid} on {other.host}, since {other.since}" if other and other.pid else "another process"
    return (
        f"{path.parent}: another run writes here: {who}; wait for it, end it, or give another folder with --results "
        f"(`harness status {path.parent}` shows how far it is)"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
