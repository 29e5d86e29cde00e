"""What hard and symbolic links do to files that are written here.

A file gets its final name by a hard link, where the file system has them, else by a rename that one writer alone may
make. A symbolic link must not carry what is written out of the results folder. Owns both rules; the writing itself is
`harness.store.files`' business.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TEMPORARY = ".harness-tmp-"
# What file systems without hard links answer: FAT and exFAT EPERM, others one of these.
_NO_LINKS = {
    errno.EPERM,
    errno.EACCES,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EXDEV,
}
_without_links: set[Path] = set()  # folders whose file system refused a hard link


def publish(temporary: str, path: Path) -> bool:
    """Give a written file its final name, in the same folder; False, and nothing changed, where it is taken.

    Of several writers, in any processes, exactly one succeeds, and a reader never sees a part of a file.
    """
    if path.parent not in _without_links:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _without_links.add(path.parent)
        else:
            return True
    with _claimed(path):
        if os.path.lexists(path):
            return False
        os.rename(temporary, path)
        return True


def has_hard_links(folder: Path) -> bool:
    """Whether the file system of a folder has hard links; tried with two files, which are removed again.

    Raises:
        OSError: the folder cannot be written.
    """
    name = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
    other = name.with_name(f"{name.name}-link")
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        os.link(name, other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    finally:
        for file in (name, other):
            file.unlink(missing_ok=True)
    return True


def refuse_links_out(root: Path, folders: Iterable[Path]) -> None:
    """Check that no folder of `folders`, and none below them, is a symbolic link that leads out of `root`.

    Raises:
        UsageError: some are; all are named.
    """
    inside = root.resolve()
    out = dict.fromkeys(
        link for folder in folders for link in _linked(root, folder) if not link.resolve().is_relative_to(inside)
    )
    if out:
        raise UsageError(
            "\n".join(f"{link}: leads out of {root}, to {link.resolve()}" for link in out)
            + "\nremove these links, or move the whole results folder there and name it with --results"
        )


def _linked(root: Path, folder: Path) -> Iterator[Path]:
    """Every link on the way from `root` to a folder in it, and to folders below that."""
    yield from (place for place in (*reversed(folder.parents), folder) if root in place.parents and place.is_symlink())
    for place, names, _ in os.walk(folder):  # which follows no links
        yield from (Path(place, name) for name in names if os.path.islink(os.path.join(place, name)))


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Be the only writer that may give a file this name now. A claim ends with the process that holds it."""
    claim = path.with_name(f"{TEMPORARY}claim-{path.name}")
    handle = _claim(claim)
    try:
        yield
    finally:
        try:
            claim.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _claim(claim: Path) -> int:
    while True:
        handle = os.open(claim, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            with contextlib.suppress(OSError):  # no locks either: then only the check for the name is left
                fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):  # removed by the writer before, who has finished
                if os.path.samestat(os.fstat(handle), claim.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
