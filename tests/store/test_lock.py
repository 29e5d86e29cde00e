"""One writer, whatever becomes of the lock's file: removed, replaced, on a file system without locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import LockedError, UsageError
from harness.store import lock
from tests.conftest import ROOT


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.unlink()
    path.write_text("{}")


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _held(path: Path) -> bool:
    try:
        with lock.locked(path):
            return False
    except LockedError:
        return True


@pytest.mark.parametrize("change", [_remove, _replace, _link, _folder, _pipe])
def test_nobody_comes_in_by_changing_the_file(change: Callable[[Path], None], tmp_path: Path) -> None:
    """Whatever becomes of the file while the lock is held, a second run is refused, and the first one goes on."""
    path = tmp_path / "lock.json"
    with lock.locked(path) as held:
        change(path)
        assert _held(path)
        assert lock.holder(path) is not None
        held.keep()
        assert _held(path)
    if path.is_dir() or path.is_symlink() or path.is_fifo():
        with pytest.raises(UsageError, match="lock.json"), lock.locked(path):
            pass
    else:
        assert not _held(path)


@pytest.mark.parametrize("change", [_remove, _replace])
def test_the_file_is_put_back(change: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the holder in it, and one line in the log."""
    path = tmp_path / "lock.json"
    with lock.locked(path) as held:
        change(path)
        held.keep()
        held.keep()
        written = json.loads(path.read_text())
        holder = lock.holder(path)
        assert holder is not None
        assert (written["pid"], holder.pid) == (os.getpid(), os.getpid())
    assert caplog.text.count("was removed or replaced, and is put back") == 1
    assert lock.holder(path) is None


def test_a_lock_of_the_file_alone_counts(tmp_path: Path) -> None:
    """As earlier versions took it: no run beside one of them, and none that took over a file that was replaced."""
    path = tmp_path / "lock.json"
    with path.open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert _held(path)
        assert lock.holder(path) is not None
    with lock.locked(path) as held:
        path.unlink()
        with path.open("w") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            with pytest.raises(LockedError, match="another run writes here"):
                held.keep()


@pytest.mark.parametrize("replaced", [True, False])
def test_a_folder_that_is_moved_ends_the_run(*, replaced: bool, tmp_path: Path) -> None:
    """What would be written now would lie in another folder, maybe another run's."""
    folder = tmp_path / "night"
    folder.mkdir()
    with lock.locked(folder / "lock.json") as held:
        held.keep()
        folder.rename(tmp_path / "moved")
        if replaced:
            folder.mkdir()
        with pytest.raises(LockedError, match="was removed, moved or replaced while this run wrote to it"):
            held.keep()


def test_a_link_to_the_folder_is_the_folder(tmp_path: Path) -> None:
    """Two names of one folder have one lock."""
    (tmp_path / "night").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "night")
    with lock.locked(tmp_path / "link" / "lock.json") as held:
        held.keep()
        assert _held(tmp_path / "night" / "lock.json")


def test_looking_keeps_nobody_out(tmp_path: Path) -> None:
    """`harness status` in a loop beside runs that begin: none of them is refused."""
    code = (
        "import pathlib, sys\nfrom harness.store import lock\nprint(flush=True)\n"
        "while True: lock.holder(pathlib.Path(sys.argv[1]))"
    )
    path = tmp_path / "lock.json"
    looking = subprocess.Popen((sys.executable, "-c", code, str(path)), cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert looking.stdout is not None
        looking.stdout.readline()
        assert not any(_held(path) for _ in range(200))
    finally:
        looking.kill()
        looking.communicate()


@pytest.mark.parametrize("locks", ["of files", "none"])
class TestWithoutLocks:
    """A file system that locks no folders (NFS), or nothing at all."""

    @pytest.fixture(autouse=True)
    def _patched(self, locks: str, monkeypatch: pytest.MonkeyPatch) -> None:
        real = fcntl.flock

        def flock(handle: int, how: int) -> None:
            if locks == "none" or os.path.isdir(f"/proc/self/fd/{handle}"):
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            real(handle, how)

        monkeypatch.setattr(fcntl, "flock", flock)

    def test_a_second_run_is_refused(self, tmp_path: Path) -> None:
        """While the first one is at work, and no longer."""
        path = tmp_path / "lock.json"
        with lock.locked(path):
            assert _held(path)
            holder = lock.holder(path)
            assert holder is not None
            assert holder.pid == os.getpid()
        assert not _held(path)
        assert lock.holder(path) is None

    def test_the_file_is_put_back(self, tmp_path: Path) -> None:
        """Before another run can come in; and it keeps that one out."""
        path = tmp_path / "lock.json"
        with lock.locked(path) as held:
            path.unlink()
            held.keep()
            assert _held(path)

    def test_two_runs_never_go_on(self, tmp_path: Path) -> None:
        """If a second one came in between removal and notice, the first one stops."""
        path = tmp_path / "lock.json"
        with lock.locked(path) as held:
            path.unlink()
            with lock.locked(path):
                _sign_as_another(path)
                with pytest.raises(LockedError):
                    held.keep()


def _sign_as_another(path: Path) -> None:
    """The second lock in this process is of another machine's."""
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "host": "elsewhere"}))


@pytest.mark.parametrize(
    ("host", "pid", "age_s", "lives"),
    [
        ("elsewhere", 7, 5, True),
        ("elsewhere", 7, 3600, False),
        (socket.gethostname(), 2**22 + 1, 5, False),  # no process has such a number
        (socket.gethostname(), 10**18, 5, False),
        (socket.gethostname(), os.getppid(), 3600, True),
    ],
)
def test_without_locks_the_text_tells_who_lives(
    host: str, pid: int, age_s: float, *, lives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here by the process, elsewhere by how long ago the file was touched, which a run does all the time."""

    def refuse(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"host": host, "pid": pid, "since": "2026-01-01T00:00:00+00:00"}))
    os.utime(path, (time.time() - age_s,) * 2)
    assert _held(path) == lives
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with lock.locked(path) as held:
        os.utime(path, (time.time() - 60,) * 2)
        held.keep()
        assert time.time() - path.stat().st_mtime < 30
