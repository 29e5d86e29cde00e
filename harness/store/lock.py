"""One writer: a run holds the lock of its results folder from its first write to its last.

The lock is the system's own lock on an open file (flock), which ends with the process that holds it, however that ends.
The text in the file names the holder, for people and for `harness status` on another machine. Owns this one lock; what
is written under it is `harness.store.files`' business.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from harness.errors import LockedError
from harness.store import files
from harness.store.quantities import Count, Moment  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_HELD = {errno.EWOULDBLOCK, errno.EACCES}
_TRIES = 5
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds the lock: its machine, its id, and since when (UTC, ISO 8601)."""

    host: str
    pid: Count
    since: Moment


_HOLDER = TypeAdapter(Holder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path` while the block runs.

    Raises:
        LockedError: another process holds it; the message says which one, where and since when.
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    with files.disk_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle, path)
        holder = Holder(host=socket.gethostname(), pid=os.getpid(), since=_now())
        with files.disk_errors(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(asdict(holder)).encode() + b"\n", 0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the lock goes with the handle; the text is only for people
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder(path: Path) -> Holder | None:
    """The process that holds the lock now; None where there is none.

    Seen from another machine that does not share locks, it is the last holder that did not end in order.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        written = _read(handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return written or Holder(host="another process", pid=0, since="")
        return written if written and written.host != socket.gethostname() else None
    finally:
        os.close(handle)


def _take(handle: int, path: Path) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                log.warning("%s: %s: nothing keeps a second run out of this folder", path, error.strerror)
                return
            if not tries_left:
                raise LockedError(_refusal(path)) from None
            time.sleep(_PAUSE_S)  # somebody may only be looking (`holder`)
        else:
            return


def _read(handle: int) -> Holder | None:
    try:
        return _HOLDER.validate_json(os.pread(handle, 4096, 0), strict=True)
    except (ValidationError, OSError):  # being written, or left empty, or no file
        return None


def _refusal(path: Path) -> str:
    other = holder(path)
    who = f"process {other.pid} on {other.host}, since {other.since}" if other and other.pid else "another process"
    return (
        f"{path.parent}: another run writes here: {who}; wait for it, end it, or give another folder with --results "
        f"(`harness status {path.parent}` shows how far it is)"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
